/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "phpfpm_helpers.h"
#include "service/php_fpm/php_fpm.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define D             "[24-Nov-2026 00:08:26] "

static void assert_complaint(const char *output, size_t length, size_t max_lines, const char *want)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_phpfpm_complaint(output, length, max_lines, &text);
    assert_string_equal(hf_text_peek(&text), want);
}

static void assert_fixture_complaint(const char *name, const char *want)
{
    HF_CLEANUP_TEXT HfText text = read_fixture(name);

    assert_complaint(text.data, text.length, 20, want);
}

static void php_fpm_is_heard_in_its_own_words(void **state)
{
    (void)state;
    assert_fixture_complaint(
        "bad-number.txt",
        "[/etc/php/bad1.conf:5] unable to parse value for entry 'pm.max_children': is not a valid "
        "number (greater or equal than zero)\n"
        "Unable to include /etc/php/bad1.conf\n"
        "FPM initialization failed");
    assert_fixture_complaint("bad-syntax.txt",
                             "PHP:  syntax error, unexpected '=' in Unknown on line 1\n"
                             "Unable to include /etc/php/bad2.conf\n"
                             "FPM initialization failed");
}

static void what_is_no_complaint_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *output;
        size_t max_lines;
        const char *want;
    } rows[] = {
        {"", 9, ""},
        {"\n \n", 9, ""},
        {D "ERROR: a\n" D "NOTICE: b\n" D "ALERT: c\n" D "DEBUG: d\n" D "WARNING: e", 9, "a\nc\ne"},
        {D "ERROR: a\n\n" D "ERROR: b\n", 9, "a\nb"},
        {D "ERROR: a\n" D "ERROR: b\n" D "ERROR: c\n", 2, "a\nb"},
        {D "ERROR: a\n", 0, ""},
        {D "NOTICE: a\n" D "NOTICE: \tb\n", 9, "a\nb"},
        {D "NOTICE: a\n" D "NOTICE: PHP message: PHP Fatal error: b\n" D "ERROR: c\n", 9,
         "PHP message: PHP Fatal error: b\nc"},
        {"[24-Nov-2026 00:08:26.626882] ERROR: pid 16034, fpm_conf(), line 81: a: b\n", 9, "a: b"},
        {D "ERROR: pid 1, f(), line x: a\n", 9, "pid 1, f(), line x: a"},
        {"php-fpm: error while loading shared libraries\n" D "NOTICE: b\n", 9,
         "php-fpm: error while loading shared libraries"},
        {D "ERROR: a\x1b[31m\tb\x7f\x9b\n", 9, "a?[31m?b??"},
        {"[" D "ERROR: a\n", 9, "[" D "ERROR: a"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++)
        assert_complaint(rows[i].output, strlen(rows[i].output), rows[i].max_lines, rows[i].want);
    assert_complaint(D "ERROR: a\0b\n", sizeof(D "ERROR: a\0b\n") - 1, 9, "a?b");
}

static void a_long_line_is_bounded(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText output = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_add(&output, D "ERROR: ");
    for (size_t i = 0; i < 100000; i++)
        hf_text_add(&output, "x");
    hf_phpfpm_complaint(output.data, output.length, 5, &text);
    assert_in_range(text.length, 500, 2000);
}

static void only_the_overlays_own_include_counts_as_missed(void **state)
{
    (void)state;
    static const struct {
        const char *fixture;
        bool missed;
    } rows[] = {
        {"missed.txt", true},  {"missed-inner.txt", false}, {"bad-number.txt", false},
        {"debian.txt", false}, {"pools.txt", false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText text = read_fixture(rows[i].fixture);
        if (hf_phpfpm_include_missed(text.data, text.length) != rows[i].missed)
            fail_msg("%s", rows[i].fixture);
    }
    assert_false(hf_phpfpm_include_missed("", 0));

    static const char at_another_line[] =
        D "WARNING: Nothing matches the include pattern '/x' from /proc/self/fd/7 at line 12.\n";
    assert_false(hf_phpfpm_include_missed(at_another_line, sizeof(at_another_line) - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(php_fpm_is_heard_in_its_own_words),
        cmocka_unit_test(what_is_no_complaint_is_left_out),
        cmocka_unit_test(a_long_line_is_bounded),
        cmocka_unit_test(only_the_overlays_own_include_counts_as_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
