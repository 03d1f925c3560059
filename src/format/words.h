/* SPDX-License-Identifier: MIT */
/* Words: of a text as a shell splits it, and one that is looked for in a stream. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Splits at blanks (space, tab, newline). '...' is taken as it is, "..." too but for a backslash
 * before a quote or another one, and outside of both a backslash takes the next character as it is
 * (Shell Command Language 2.2, without any expansion). Owned vector, NULL when there is no word.
 * Returns 0, -ENOMEM, or -EINVAL: a quote is not closed, or nothing follows a backslash. */
int hf_shell_words_split(const char *text, char ***ret);

#define HF_MATCHER_MAX 256 /* bytes of the text */

/* Looks for a text in a stream that comes in pieces of any size. */
typedef struct HfMatcher {
    char text[HF_MATCHER_MAX];
    uint16_t fallback[HF_MATCHER_MAX]; /* of the first i + 1 bytes, the longest proper prefix that
                                          is their end, too */
    size_t length;
    size_t matched; /* bytes of the text that the stream ends with so far */
    bool found;
} HfMatcher;

/* text: 1 to HF_MATCHER_MAX bytes; without a newline it is found within a line only. */
void hf_matcher_init(HfMatcher *matcher, const char *text, size_t length);

/* The next piece. Returns whether the text has been seen, now or before. */
bool hf_matcher_feed(HfMatcher *matcher, const char *data, size_t length);
