/* SPDX-License-Identifier: MIT */
#include "format/words.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static const char blanks[] = " \t\n";

/* Appends what stands between the quotes; text starts after the opening one. Returns what follows
 * the closing one, or NULL. */
static const char *parse_quoted(const char *text, char quote, HfText *word)
{
    for (; *text && *text != quote; text++) {
        bool escape = quote == '"' && *text == '\\' && (text[1] == '"' || text[1] == '\\');
        hf_text_add_bytes(word, escape ? ++text : text, 1);
    }
    return *text == quote ? text + 1 : NULL;
}

/* Takes one word; text points to its first character. Returns what follows it, or NULL. */
static const char *parse_word(const char *text, HfText *word)
{
    while (text && *text && !strchr(blanks, *text)) {
        if (*text == '\'' || *text == '"') {
            text = parse_quoted(text + 1, *text, word);
        } else if (*text == '\\') {
            if (text[1] == '\0')
                return NULL;
            hf_text_add_bytes(word, text + 1, 1);
            text += 2;
        } else {
            size_t plain = strcspn(text, " \t\n'\"\\");
            hf_text_add_bytes(word, text, plain);
            text += plain;
        }
    }
    return text;
}

int hf_shell_words_split(const char *text, char ***ret)
{
    HF_CLEANUP_STRV char **words = NULL;
    HF_CLEANUP_TEXT HfText word = {0};

    while (*(text += strspn(text, blanks))) {
        char *taken;
        text = parse_word(text, &word);
        if (!text)
            return -EINVAL;
        int r = hf_text_take(&word, &taken);
        if (r >= 0)
            r = hf_strv_consume(&words, taken);
        if (r < 0)
            return r;
    }
    *ret = HF_STEAL(words);
    return 0;
}

/* Knuth, Morris and Pratt: looks at each byte of the stream once, and keeps none. */
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
