/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>

#include "base/parse.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

typedef struct Row {
    const char *text;
    int result;
    uint64_t value;
} Row;

#define UNTOUCHED UINT64_C(0xfeedface)

/* Each row must give its result, and its value only on success. */
#define CHECK_ROWS(rows, call)                                                                     \
    for (size_t i = 0; i < LENGTH(rows); i++) {                                                    \
        const char *text = (rows)[i].text;                                                         \
        uint64_t value = UNTOUCHED;                                                                \
        int r = (call);                                                                            \
        if (r != (rows)[i].result || value != (r < 0 ? UNTOUCHED : (rows)[i].value))               \
            fail_msg("\"%s\": %d, %ju", text, r, (uintmax_t)value);                                \
    }

static void uint_is_a_whole_decimal(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"0", 0, 0},
        {"7", 0, 7},
        {"007", 0, 7},
        {"65535", 0, 65535},
        {"65536", -ERANGE, 0},
        {"18446744073709551615", -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999999999999999999999999x", -EINVAL, 0},
        {"", -EINVAL, 0},
        {" 7", -EINVAL, 0},
        {"7 ", -EINVAL, 0},
        {"+7", -EINVAL, 0},
        {"-7", -EINVAL, 0},
        {"0x7", -EINVAL, 0},
        {"7.0", -EINVAL, 0},
        {"\xd9\xa1", -EINVAL, 0},
    };
    CHECK_ROWS(rows, hf_parse_uint(text, 65535, &value));
}

static void signals_have_names_and_numbers(void **state)
{
    (void)state;
    const uint64_t least = (uint64_t)SIGRTMIN;
    const uint64_t most = (uint64_t)SIGRTMAX;
    const Row rows[] = {
        {"TERM", 0, SIGTERM},
        {"SIGTERM", 0, SIGTERM},
        {"SIGWINCH", 0, SIGWINCH},
        {"IO", 0, SIGIO},
        {"POLL", 0, SIGIO},
        {"15", 0, 15},
        {"64", 0, 64},
        {"RTMIN", 0, least},
        {"RTMIN+3", 0, least + 3},
        {"SIGRTMAX-1", 0, most - 1},
        {"RTMAX", 0, most},
        {"RTMIN-3", -EINVAL, 0},
        {"RTMAX+3", -EINVAL, 0},
        {"RTMIN+31", -EINVAL, 0},
        {"RTMIN+", -EINVAL, 0},
        {"0", -EINVAL, 0},
        {"65", -EINVAL, 0},
        {"term", -EINVAL, 0},
        {"SIG", -EINVAL, 0},
        {"", -EINVAL, 0},
    };
    CHECK_ROWS(rows, hf_parse_signal(text, &value));
}

static void each_signal_is_read_as_it_is_written(void **state)
{
    char name[HF_SIGNAL_NAME_SIZE];
    uint64_t read;

    (void)state;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        assert_int_equal(hf_parse_signal(hf_signal_name(signal, name), &read), 0);
        assert_int_equal(read, signal);
    }
    assert_string_equal(hf_signal_name(SIGQUIT, name), "QUIT");
    assert_string_equal(hf_signal_name(SIGRTMIN + 3, name), "RTMIN+3");
    assert_string_equal(hf_signal_name(SIGRTMIN - 1, name), "33");
}

static void uint_reaches_the_largest(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551625", -ERANGE, 0},
        {"184467440737095516150", -ERANGE, 0},
    };
    CHECK_ROWS(rows, hf_parse_uint(text, UINT64_MAX, &value));
}

static int parse_mode(const char *text, uint64_t *ret)
{
    unsigned mode = 0;
    int r = hf_parse_mode(text, &mode);
    if (r == 0)
        *ret = mode;
    return r;
}

static void mode_is_octal(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"0660", 0, 0660},
        {"660", 0, 0660},
        {"0", 0, 0},
        {"07777", 0, 07777},
        {"010000", -ERANGE, 0},
        {"0668", -EINVAL, 0},
        {"0o660", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"rw", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"7777777777777777777777777", -ERANGE, 0},
    };
    CHECK_ROWS(rows, parse_mode(text, &value));
}

static void duration_reads_units(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"0", 0, 0},
        {"30", 0, 30000000},
        {"30s", 0, 30000000},
        {"30 s", 0, 30000000},
        {"30sec", 0, 30000000},
        {"1second", 0, 1000000},
        {"2 seconds", 0, 2000000},
        {"500ms", 0, 500000},
        {"500 msec", 0, 500000},
        {"7us", 0, 7},
        {"7usec", 0, 7},
        {"7\xc2\xb5s", 0, 7},
        {"7\xce\xbcs", 0, 7},
        {"2m", 0, 120000000},
        {"2min", 0, 120000000},
        {"1minute", 0, 60000000},
        {"2minutes", 0, 120000000},
        {"2h", 0, UINT64_C(7200000000)},
        {"2hr", 0, UINT64_C(7200000000)},
        {"1hour", 0, UINT64_C(3600000000)},
        {"2 hours", 0, UINT64_C(7200000000)},
        {"1d", 0, UINT64_C(86400000000)},
        {"1day", 0, UINT64_C(86400000000)},
        {"2days", 0, UINT64_C(172800000000)},
        {"1w", 0, UINT64_C(604800000000)},
        {"1week", 0, UINT64_C(604800000000)},
        {"2weeks", 0, UINT64_C(1209600000000)},
        {"1M", 0, UINT64_C(2629800000000)},
        {"1month", 0, UINT64_C(2629800000000)},
        {"1y", 0, UINT64_C(31557600000000)},
        {"1year", 0, UINT64_C(31557600000000)},
        {"1min 30s", 0, 90000000},
        {"1min30s", 0, 90000000},
        {"1min 30", 0, 90000000},
        {"1h 2min 3s 4ms", 0, UINT64_C(3723004000)},
    };
    CHECK_ROWS(rows, hf_parse_duration(text, &value));
}

static void duration_reads_fractions(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"1.5s", 0, 1500000},
        {"1.5", 0, 1500000},
        {"0.25 ms", 0, 250},
        {"1.5min 0.5s", 0, 90500000},
        {"0.000001s", 0, 1},
        {"0.0000019", 0, 1},
        {"0.00000000000000000000000000001", 0, 0},
        {"1.99999999999999999999999999999s", 0, 1999999},
        {"1.", -EINVAL, 0},
        {"1.s", -EINVAL, 0},
        {".5s", -EINVAL, 0},
        {"1.5.5s", -EINVAL, 0},
        {"1.-5s", -EINVAL, 0},
    };
    CHECK_ROWS(rows, hf_parse_duration(text, &value));
}

static void duration_refuses_the_rest(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"", -EINVAL, 0},         {" ", -EINVAL, 0},      {" 5s", -EINVAL, 0},
        {"5s ", -EINVAL, 0},      {"5 ", -EINVAL, 0},     {"-5s", -EINVAL, 0},
        {"+5s", -EINVAL, 0},      {"s", -EINVAL, 0},      {"5x", -EINVAL, 0},
        {"5S", -EINVAL, 0},       {"5se", -EINVAL, 0},    {"5s,", -EINVAL, 0},
        {"5 5", -EINVAL, 0},      {"1 2min", -EINVAL, 0}, {"5s\t5s", -EINVAL, 0},
        {"infinity", -EINVAL, 0}, {"0x10", -EINVAL, 0},   {"1e3", -EINVAL, 0},
    };
    CHECK_ROWS(rows, hf_parse_duration(text, &value));
}

static void duration_is_bounded(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"3650d", 0, HF_USEC_MAX},
        {"315360000", 0, HF_USEC_MAX},
        {"315360000s 1us", -ERANGE, 0},
        {"315360000.000001s", -ERANGE, 0},
        {"3651d", -ERANGE, 0},
        {"18446744073709551615s", -ERANGE, 0},
        {"18446744073709551616us", -ERANGE, 0},
        {"18446744073709551615us 1us", -ERANGE, 0},
        {"18446744073709551615us 1ms 1s 1d", -ERANGE, 0},
        {"18446744073710s", -ERANGE, 0},
        {"18446744073709551615us 0.9s", -ERANGE, 0},
        {"18446744073709551617us", -ERANGE, 0},
        {"584555y", -ERANGE, 0},
        {"99999999999999999999999999 lightyears", -EINVAL, 0},
    };
    CHECK_ROWS(rows, hf_parse_duration(text, &value));
}

static void bytes_read_suffixes(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"1K", 0, 1024},
        {"1k", 0, 1024},
        {"128M", 0, UINT64_C(134217728)},
        {"2G", 0, UINT64_C(2147483648)},
        {"3t", 0, UINT64_C(3298534883328)},
        {"18446744073709551615", 0, UINT64_MAX},
        {"16777215T", 0, UINT64_C(16777215) << 40},
        {"16777216T", -ERANGE, 0},
        {"18446744073709551616", -ERANGE, 0},
        {"18446744073709551616K", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"K", -EINVAL, 0},
        {"1KB", -EINVAL, 0},
        {"1KK", -EINVAL, 0},
        {"1P", -EINVAL, 0},
        {"1 K", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
    };
    CHECK_ROWS(rows, hf_parse_bytes(text, &value));
}

static int parse_bool(const char *text, uint64_t *ret)
{
    bool value = false;
    int r = hf_parse_bool(text, &value);
    if (r == 0)
        *ret = value;
    return r;
}

static void bool_reads_its_words(void **state)
{
    (void)state;
    static const Row rows[] = {
        {"yes", 0, 1},     {"no", 0, 0},         {"true", 0, 1},     {"false", 0, 0},
        {"on", 0, 1},      {"off", 0, 0},        {"1", 0, 1},        {"0", 0, 0},
        {"Yes", 0, 1},     {"OFF", 0, 0},        {"", -EINVAL, 0},   {"y", -EINVAL, 0},
        {"2", -EINVAL, 0}, {"yes ", -EINVAL, 0}, {"01", -EINVAL, 0},
    };
    CHECK_ROWS(rows, parse_bool(text, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uint_is_a_whole_decimal),
        cmocka_unit_test(uint_reaches_the_largest),
        cmocka_unit_test(signals_have_names_and_numbers),
        cmocka_unit_test(each_signal_is_read_as_it_is_written),
        cmocka_unit_test(mode_is_octal),
        cmocka_unit_test(duration_reads_units),
        cmocka_unit_test(duration_reads_fractions),
        cmocka_unit_test(duration_refuses_the_rest),
        cmocka_unit_test(duration_is_bounded),
        cmocka_unit_test(bytes_read_suffixes),
        cmocka_unit_test(bool_reads_its_words),
    };
    return cmocka_run_group_tests_name("base/parse", tests, NULL, NULL);
}
