/* SPDX-License-Identifier: MIT */
/* A text in a stream in pieces, against a search in the whole. A byte for the size of the pieces,
 * one for the length of the text, the text, and then the stream. */
#include <string.h>

#include "format/words.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    size_t piece = input_byte(&input) + 1;
    size_t length = input_byte(&input) + 1;
    HfMatcher matcher;

    if (input.size < length)
        return 0;
    const char *text = (const char *)input.data;
    const char *stream = text + length;
    size_t left = input.size - length;

    hf_matcher_init(&matcher, text, length);
    bool found = false;
    for (size_t at = 0; at < left; at += piece) {
        size_t n = piece < left - at ? piece : left - at;
        found = hf_matcher_feed(&matcher, stream + at, n);
        CHECK(found == (memmem(stream, at + n, text, length) != NULL));
        CHECK(found || matcher.matched < length);
    }
    CHECK(found == (left > 0 && memmem(stream, left, text, length) != NULL));
    return 0;
}
