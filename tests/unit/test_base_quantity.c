/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parse.h"
#include "base/text.h"

typedef struct Row {
    uint64_t number;
    const char *want;
} Row;

static void check(const Row *rows, size_t n, void (*add)(HfText *text, uint64_t number))
{
    for (size_t i = 0; i < n; i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        add(&text, rows[i].number);
        assert_string_equal(hf_text_peek(&text), rows[i].want);
    }
}
#define CHECK(rows, add) check(rows, sizeof(rows) / sizeof(*(rows)), add)

static void ages_take_the_largest_unit(void **state)
{
    (void)state;
    static const Row rows[] = {
        {0, "0 seconds"},
        {HF_USEC_PER_SEC, "1 second"},
        {59 * HF_USEC_PER_SEC + 999999, "59 seconds"},
        {60 * HF_USEC_PER_SEC, "1 minute"},
        {7199 * HF_USEC_PER_SEC, "1 hour"},
        {3 * 86400 * HF_USEC_PER_SEC, "3 days"},
        {UINT64_MAX, "213503982 days"},
    };
    CHECK(rows, hf_text_add_age);
}

static void times_are_short(void **state)
{
    (void)state;
    static const Row rows[] = {
        {0, "0 s"},
        {999, "0 s"},
        {34 * HF_USEC_PER_MSEC, "34 ms"},
        {1500 * HF_USEC_PER_MSEC, "1.5 s"},
        {30 * HF_USEC_PER_SEC, "30 s"},
        {60 * HF_USEC_PER_SEC, "1 min"},
        {125 * HF_USEC_PER_SEC, "2 min 5 s"},
    };
    CHECK(rows, hf_text_add_time);
}

static void bytes_have_binary_units(void **state)
{
    (void)state;
    static const Row rows[] = {
        {0, "0 bytes"},
        {1023, "1023 bytes"},
        {1024, "1 KiB"},
        {64 << 20, "64 MiB"},
        {UINT64_C(1536) << 20, "1.5 GiB"},
        {UINT64_C(5) << 40, "5 TiB"},
    };
    CHECK(rows, hf_text_add_bytes_of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ages_take_the_largest_unit),
        cmocka_unit_test(times_are_short),
        cmocka_unit_test(bytes_have_binary_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
