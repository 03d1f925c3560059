#include "format/matcher.h"

#include <assert.h>
#include <string.h>

/* Knuth, Morris and Pratt: no byte of the stream is looked at twice, none is kept. */
static size_t advance(const HfMatcher *matcher, size_t matched, char byte)
{
    while (matched > 0 && matcher->text[matched] != byte)
        matched = matcher->fallback[matched - 1];
    return matched + (matcher->text[matched] == byte);
}

void hf_matcher_init(HfMatcher *matcher, const char *text, size_t length)
{
    assert(length > 0 && length <= HF_MATCHER_MAX);
    *matcher = (HfMatcher){.length = length};
    memcpy(matcher->text, text, length);
    for (size_t i = 1; i < length; i++)
        matcher->fallback[i] = (uint16_t)advance(matcher, matcher->fallback[i - 1], text[i]);
}

bool hf_matcher_feed(HfMatcher *matcher, const char *data, size_t length)
{
    for (size_t i = 0; i < length && !matcher->found; i++) {
        matcher->matched = advance(matcher, matcher->matched, data[i]);
        matcher->found = matcher->matched == matcher->length;
    }
    return matcher->found;
}
