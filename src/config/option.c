/* SPDX-License-Identifier: MIT */
#include "config/option.h"

#include <errno.h>
#include <string.h>

int hf_option_refuse(HfText *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    hf_text_addv(error, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

const char *hf_option_echo(const char *text, size_t length, bool quoted, char *ret)
{
    const char *quote = quoted ? "\"" : "";
    bool cut = length > HF_OPTION_ECHO_MAX;
    char *end = stpcpy(ret, quote);

    end += hf_text_printable(text, length, end, HF_OPTION_ECHO_MAX + 1);
    stpcpy(stpcpy(end, cut ? "..." : ""), quote);
    return ret;
}

void hf_option_join(HfText *text, const char *const *words, size_t n, const char *last)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            hf_text_add(text, i + 1 < n ? ", " : last);
        hf_text_add(text, words[i]);
    }
}

#define WORD_MAX 32 /* bytes; longer words have no near match */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein distance; both at most WORD_MAX long. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t row[WORD_MAX + 1];

    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[n_b];
}

const char *hf_option_nearest(const char *word, size_t length, const char *const *known, size_t n)
{
    const char *nearest = NULL;
    size_t limit = length <= 3 ? 1 : length <= 8 ? 2 : 3;

    if (length == 0 || length > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t n_known = strlen(known[i]);
        if (n_known > WORD_MAX)
            continue;
        bool begins = length >= 3 && length < n_known && memcmp(word, known[i], length) == 0;
        size_t far = distance(word, length, known[i], n_known);
        if (begins && far > 1)
            far = 1;
        if (far <= limit) {
            nearest = known[i];
            if (far == 0)
                break;
            limit = far - 1;
        }
    }
    return nearest;
}

bool hf_option_is_name(const char *text, bool lower)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = strspn(text, lower ? characters + 26 : characters);

    return length > 0 && length <= HF_NAME_MAX && text[length] == '\0';
}

bool hf_option_equal_string(const void *a, const void *b)
{
    const char *left = *(const char *const *)a;
    const char *right = *(const char *const *)b;

    return left && right ? strcmp(left, right) == 0 : left == right;
}

bool hf_option_equal_number(const void *a, const void *b)
{
    return *(const uint64_t *)a == *(const uint64_t *)b;
}
