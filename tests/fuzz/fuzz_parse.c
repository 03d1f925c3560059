/* SPDX-License-Identifier: MIT */
/* Text to numbers, against a second reading, and numbers as people say them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "fuzz.h"

#ifdef __SIZEOF_INT128__
__extension__ typedef unsigned __int128 Wide;
#else
typedef long double
    Wide; /* i386: exact up to 64 bits, and beyond them only that they are exceeded matters */
#endif
#define WIDE_MAX ((Wide)UINT64_MAX * UINT64_MAX)

/* The digits at text, up to WIDE_MAX; ret gets their number. */
static Wide read_wide(const char *text, const char *digits, size_t *ret)
{
    unsigned base = (unsigned)strlen(digits);
    Wide value = 0;

    *ret = strspn(text, digits);
    for (size_t i = 0; i < *ret; i++)
        value = value > (WIDE_MAX - 9) / base ? WIDE_MAX : value * base + (unsigned)(text[i] - '0');
    return value;
}

static void check_number(int r, int want, uint64_t value, Wide want_value)
{
    CHECK(r == want);
    CHECK(value == (r == 0 ? (uint64_t)want_value : 7));
}

static void check_uint(const char *text)
{
    size_t n;
    Wide value = read_wide(text, "0123456789", &n);
    bool whole = n > 0 && text[n] == '\0';
    uint64_t got = 7;

    int r = hf_parse_uint(text, UINT64_MAX, &got);
    check_number(r, !whole ? -EINVAL : value > UINT64_MAX ? -ERANGE : 0, got, value);
    got = 7;
    r = hf_parse_uint(text, 1000, &got);
    check_number(r, !whole ? -EINVAL : value > 1000 ? -ERANGE : 0, got, value);
}

static void check_mode(const char *text)
{
    size_t n;
    Wide value = read_wide(text, "01234567", &n);
    bool whole = n > 0 && text[n] == '\0';
    unsigned got = 7;

    int r = hf_parse_mode(text, &got);
    check_number(r, !whole ? -EINVAL : value > 07777 ? -ERANGE : 0, got, value);
}

static void check_bytes(const char *text)
{
    static const char suffixes[] = "KkMmGgTt";
    size_t n;
    Wide value = read_wide(text, "0123456789", &n);
    const char *suffix = text[n] ? strchr(suffixes, text[n]) : NULL;
    bool whole = n > 0 && (text[n] == '\0' || (suffix && text[n + 1] == '\0'));
    uint64_t got = 7;

    for (const char *s = suffixes; suffix && s <= suffix; s += 2)
        value = value > WIDE_MAX / 1024 ? WIDE_MAX : value * 1024;
    int r = hf_parse_bytes(text, &got);
    check_number(r, !whole ? -EINVAL : value > UINT64_MAX ? -ERANGE : 0, got, value);
}

/* The unit that a last number leaves out is seconds, and nothing more changes nothing. */
static void check_duration(const char *text)
{
    HF_CLEANUP_TEXT HfText longer = {0};
    uint64_t usec = 7;
    uint64_t again = 7;
    size_t length = strlen(text);
    int r = hf_parse_duration(text, &usec);

    CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
    CHECK(r == 0 ? usec <= HF_USEC_MAX : usec == 7);
    if (r == -EINVAL)
        return;
    bool number = text[length - 1] >= '0' && text[length - 1] <= '9';
    hf_text_addf(&longer, "%s%s", text, number ? "s" : " 0us");
    CHECK(hf_parse_duration(hf_text_peek(&longer), &again) == r);
    CHECK(again == usec);
    hf_text_add(&longer, " 1us");
    r = hf_parse_duration(hf_text_peek(&longer), &again);
    CHECK(r == 0 ? again == usec + 1 : r == -ERANGE);
    hf_text_clear(&longer);
    hf_text_addf(&longer, " %s", text);
    CHECK(hf_parse_duration(hf_text_peek(&longer), &again) == -EINVAL);
}

static void check_bool(const char *text)
{
    bool value = false;
    bool other = true;

    CHECK(hf_parse_bool(text, &value) == hf_parse_bool(text, &other));
    CHECK(hf_parse_bool(text, &value) == 0 ? value == other : !value && other);
}

static void check_human(uint64_t number)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_add_age(&text, number);
    hf_text_add(&text, "|");
    hf_text_add_time(&text, number);
    hf_text_add(&text, "|");
    hf_text_add_bytes_of(&text, number);
    CHECK(!text.failed && text.length < 128);
    CHECK(is_printable(text.data, text.length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_FREE char *text = input_string(&input);
    uint64_t number = 0;

    check_uint(text);
    check_mode(text);
    check_bytes(text);
    check_duration(text);
    check_bool(text);
    for (size_t i = 0; i < sizeof(number) && i < size; i++)
        number = number << 8 | data[i];
    check_human(number);
    return 0;
}
