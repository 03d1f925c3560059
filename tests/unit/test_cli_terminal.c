/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/terminal.h"

static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        size_t columns;
        size_t rows;
        const char *want;
    } rows[] = {
        {"", 5, 2, "$"},
        {"abc", 3, 1, "abc$"},
        {"abcd", 3, 1, "abc$"},
        {"abc\n", 3, 1, "abc$"},
        {"abcd\nefgh\ni", 3, 2, "abc$\nefg$"},
        {"a\nb\n", 3, 3, "a$\nb$\n$"},
        /* characters of several bytes are whole or not there */
        {"\xc3\xa4\xe2\x96\x81\xf0\x9f\x98\x80x", 2, 1, "\xc3\xa4\xe2\x96\x81$"},
        /* styles take no room, and end even where their words do not */
        {"\033[32mgreen\033[0m!", 2, 1, "\033[32mgr\033[0m$"},
        {"abc", 0, 1, "$"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfText text = {0};
        hf_terminal_clip(rows[i].lines, rows[i].columns, rows[i].rows, "$", &text);
        assert_string_equal(hf_text_peek(&text), rows[i].want);
        hf_text_clear(&text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
