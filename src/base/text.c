/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"

void hf_text_clear(HfText *text)
{
    free(text->data);
    *text = (HfText){0};
}

void hf_text_fail(HfText *text, bool failed)
{
    if (!failed)
        return;
    hf_text_clear(text);
    text->failed = true;
}

/* Room for extra more bytes and the NUL. */
static bool make_room(HfText *text, size_t extra)
{
    if (text->failed)
        return false;
    size_t needed;
    if (__builtin_add_overflow(text->length, extra, &needed) || needed > SIZE_MAX / 2 - 1)
        goto failed;
    needed++;
    if (needed > text->capacity) {
        size_t capacity = text->capacity < 64 ? 64 : text->capacity;
        while (capacity < needed)
            capacity *= 2;
        char *data = malloc(capacity); /* as hf_allocate says */
        if (!data)
            goto failed;
        if (text->data)
            memcpy(data, text->data, text->length + 1);
        free(text->data);
        text->data = data;
        text->capacity = capacity;
    }
    return true;

failed:
    hf_text_fail(text, true);
    return false;
}

void hf_text_add(HfText *text, const char *string)
{
    hf_text_add_bytes(text, string, strlen(string));
}

void hf_text_add_bytes(HfText *text, const char *bytes, size_t length)
{
    if (!make_room(text, length))
        return;
    if (length > 0)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void hf_text_addf(HfText *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hf_text_addv(text, format, arguments);
    va_end(arguments);
}

void hf_text_addv(HfText *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length < 0)
        hf_text_fail(text, true);
    else if (make_room(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

int hf_text_take(HfText *text, char **ret)
{
    if (!make_room(text, 0)) {
        hf_text_clear(text);
        return -ENOMEM;
    }
    text->data[text->length] = '\0';
    *ret = text->data;
    *text = (HfText){0};
    return 0;
}

int hf_strv_take(char ***strv, HfText *text)
{
    char *taken;

    return hf_text_take(text, &taken) < 0 ? -ENOMEM : hf_strv_consume(strv, taken);
}

int hf_strv_addf(char ***strv, const char *format, ...)
{
    HF_CLEANUP_TEXT HfText text = {0};
    va_list arguments;

    va_start(arguments, format);
    hf_text_addv(&text, format, arguments);
    va_end(arguments);
    return hf_strv_take(strv, &text);
}

const char *hf_text_peek(const HfText *text)
{
    return text->data ? text->data : "";
}

/* The length of the UTF-8 character at bytes, 0 if there is none; table 3-7 of Unicode. */
static size_t character_length(const unsigned char *bytes, size_t length)
{
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t n = first >= 0xc2 && first <= 0xdf   ? 2
               : first >= 0xe0 && first <= 0xef ? 3
               : first >= 0xf0 && first <= 0xf4 ? 4
                                                : 0;
    if (n == 0 || n > length)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    unsigned char second = bytes[1];
    bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    bool surrogate = first == 0xed && second > 0x9f;
    bool beyond = first == 0xf4 && second > 0x8f;
    return overlong || surrogate || beyond ? 0 : n;
}

size_t hf_text_printable(const char *bytes, size_t length, char *ret, size_t size)
{
    assert(size > 0);
    const unsigned char *in = (const unsigned char *)bytes;
    size_t written = 0;
    for (size_t i = 0; i < length;) {
        size_t n = character_length(in + i, length - i);
        bool control =
            in[i] < 0x20 || in[i] == 0x7f || (in[i] == 0xc2 && n == 2 && in[i + 1] < 0xa0);
        bool good = n > 0 && !control;
        size_t taken = n > 0 ? n : 1;
        size_t out = good ? n : 1;
        if (out >= size - written)
            break;
        if (good)
            memcpy(ret + written, in + i, n);
        else
            ret[written] = '?';
        written += out;
        i += taken;
    }
    ret[written] = '\0';
    return written;
}

size_t hf_text_printable_lines(const char *text, char *ret, size_t size)
{
    size_t written = 0;

    for (;;) {
        size_t length = strcspn(text, "\n");
        written += hf_text_printable(text, length, ret + written, size - written);
        text += length;
        if (*text == '\0' || written + 2 > size)
            return written;
        text++;
        ret[written++] = '\n';
        ret[written] = '\0';
    }
}

void hf_text_add_age(HfText *text, uint64_t usec)
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
    uint64_t seconds = usec / HF_USEC_PER_SEC;
    size_t i = 0;

    while (seconds < units[i].seconds && units[i].seconds > 1)
        i++;
    uint64_t n = seconds / units[i].seconds;
    hf_text_addf(text, "%llu %s%s", (unsigned long long)n, units[i].name, n == 1 ? "" : "s");
}

void hf_text_add_time(HfText *text, uint64_t usec)
{
    uint64_t msec = usec / HF_USEC_PER_MSEC;
    unsigned long long seconds = msec / 1000;

    if (msec < 1000 && msec > 0)
        hf_text_addf(text, "%llu ms", (unsigned long long)msec);
    else if (seconds >= 60 && seconds % 60 > 0)
        hf_text_addf(text, "%llu min %llu s", seconds / 60, seconds % 60);
    else if (seconds >= 60)
        hf_text_addf(text, "%llu min", seconds / 60);
    else if (msec % 1000 >= 100)
        hf_text_addf(text, "%llu.%llu s", seconds, (unsigned long long)(msec % 1000 / 100));
    else
        hf_text_addf(text, "%llu s", seconds);
}

void hf_text_add_bytes_of(HfText *text, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    uint64_t tenths = bytes <= UINT64_MAX / 10 ? bytes * 10 : UINT64_MAX;

    while (tenths >= 10240 && unit + 1 < sizeof(units) / sizeof(*units)) {
        tenths /= 1024;
        unit++;
    }
    unsigned long long whole = tenths / 10;
    unsigned long long fraction = tenths % 10;
    if (fraction > 0)
        hf_text_addf(text, "%llu.%llu %s", whole, fraction, units[unit]);
    else
        hf_text_addf(text, "%llu %s", whole, units[unit]);
}

bool hf_text_has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}
