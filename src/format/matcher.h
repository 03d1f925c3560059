/* Looks for a text in a stream that comes in pieces of any size. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_MATCHER_MAX 256 /* bytes of the text */

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
