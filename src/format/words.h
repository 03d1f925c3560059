/* SPDX-License-Identifier: MIT */
/* Splits a text into words as a shell does, and looks for a text in a stream. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Splits at blanks (space, tab, newline). '...' is taken literally, "..." as well except for a
 * backslash before a quote or another backslash; outside quotes a backslash takes the next
 * character literally (Shell Command Language 2.2, without any expansion). Owned vector, NULL when
 * there is no word. Returns 0, -ENOMEM, or -EINVAL: a quote is not closed, or nothing follows a
 * backslash. */
int hf_shell_words_split(const char *text, char ***ret);

#define HF_MATCHER_MAX 256 /* bytes of the text */

/* Looks for a text in a stream that comes in pieces of any size. */
typedef struct HfMatcher {
    char text[HF_MATCHER_MAX];
    uint16_t fallback[HF_MATCHER_MAX]; /* the longest proper prefix of the first i + 1 bytes that
                                          they also end with */
    size_t length;
    size_t matched; /* how many bytes of the text the stream ends with so far */
    bool found;
} HfMatcher;

/* text: 1 to HF_MATCHER_MAX bytes; a text without a newline is only found within one line. */
void hf_matcher_init(HfMatcher *matcher, const char *text, size_t length);

/* Takes the next piece. Returns whether the text has been seen, now or before. */
bool hf_matcher_feed(HfMatcher *matcher, const char *data, size_t length);
