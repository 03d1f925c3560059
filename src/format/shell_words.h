/* A text to words, quoted as for a shell. */
#pragma once

/* Splits at blanks (space, tab, newline). '...' is taken as it is, "..." too but for a backslash
 * before a quote or another one, and outside of both a backslash takes the next character as it is
 * (Shell Command Language 2.2, without any expansion). Owned vector, NULL when there is no word.
 * Returns 0, -ENOMEM, or -EINVAL: a quote is not closed, or nothing follows a backslash. */
int hf_shell_words_split(const char *text, char ***ret);
