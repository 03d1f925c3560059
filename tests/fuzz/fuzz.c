/* SPDX-License-Identifier: MIT */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define ERROR_MAX 1024 /* bytes of an error line */

void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: broken: %s\n", file, line, what);
    abort();
}

void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

unsigned input_byte(Input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static char *copy(const uint8_t *data, size_t length)
{
    char *text = must(malloc(length + 1));

    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
    return text;
}

char *input_string(Input *input)
{
    const uint8_t *end = input->size > 0 ? memchr(input->data, 0, input->size) : NULL;
    size_t length = end ? (size_t)(end - input->data) : input->size;
    char *text = copy(input->data, length);

    input->data += length + (end != NULL);
    input->size -= length + (end != NULL);
    return text;
}

char *input_rest(Input *input)
{
    char *text = copy(input->data, input->size);

    for (size_t i = 0; i < input->size; i++)
        if (text[i] == '\0')
            text[i] = '0';
    input->size = 0;
    return text;
}

char **input_strings(Input *input, const char *first, size_t max)
{
    char **strings = must(hf_allocate(1, sizeof(*strings)));

    if (first && hf_strv_append(&strings, first) < 0)
        abort();
    for (size_t i = 0; i < max && input->size > 0; i++)
        if (hf_strv_consume(&strings, input_string(input)) < 0)
            abort();
    return strings;
}

/* The first byte of a character and the range of its second; RFC 3629, section 4. */
static const struct {
    unsigned char from, to;
    size_t length;
    unsigned char second_from, second_to;
} forms[] = {
    {0x20, 0x7e, 1, 0, 0},       {0xc2, 0xc2, 2, 0xa0, 0xbf}, {0xc3, 0xdf, 2, 0x80, 0xbf},
    {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f},
    {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf},
    {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static size_t character(const unsigned char *text, size_t length)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        size_t n = forms[i].length;
        if (text[0] < forms[i].from || text[0] > forms[i].to || n > length)
            continue;
        if (n > 1 && (text[1] < forms[i].second_from || text[1] > forms[i].second_to))
            return 0;
        for (size_t k = 2; k < n; k++)
            if (text[k] < 0x80 || text[k] > 0xbf)
                return 0;
        return n;
    }
    return 0;
}

bool is_printable(const char *text, size_t length)
{
    while (length > 0) {
        size_t n = character((const unsigned char *)text, length);
        if (n == 0)
            return false;
        text += n;
        length -= n;
    }
    return true;
}

bool is_clean(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

bool same_string(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

void check_error(int result, const HfText *error)
{
    const char *text = hf_text_peek(error);

    CHECK((result < 0) == (error->length > 0));
    CHECK(error->length <= ERROR_MAX);
    CHECK(strlen(text) == error->length);
    CHECK(is_printable(text, error->length));
}

size_t count_of(const char *text, char c)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}
