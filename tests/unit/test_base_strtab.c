/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/parse.h"

typedef enum Colour {
    COLOUR_RED,
    COLOUR_GREEN,
    COLOUR_MAX_,
} Colour;
HF_STRTAB_DECLARE(colour, Colour);

static const char *const colours[] = {[COLOUR_RED] = "red", [COLOUR_GREEN] = "green"};
HF_STRTAB_DEFINE(colour, Colour, colours, COLOUR_MAX_)

static void names_and_values_belong_together(void **state)
{
    (void)state;
    assert_string_equal(colour_name(COLOUR_GREEN), "green");
    for (int i = 0; i < COLOUR_MAX_; i++)
        assert_int_equal(colour_value(colour_name((Colour)i)), i);
}

static void outside_the_table_there_is_no_name(void **state)
{
    (void)state;
    assert_null(hf_strtab_name(colours, COLOUR_MAX_, COLOUR_MAX_));
    assert_null(hf_strtab_name(colours, COLOUR_MAX_, -1));
}

static void unknown_names_have_no_value(void **state)
{
    (void)state;
    static const char *const unknown[] = {"", "re", "redd", "Red", " red"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
        assert_int_equal(colour_value(unknown[i]), -EINVAL);
}

static void gaps_are_skipped(void **state)
{
    (void)state;
    static const char *const table[] = {"a", NULL, "c"};
    assert_null(hf_strtab_name(table, 3, 1));
    assert_int_equal(hf_strtab_value(table, 3, "c"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_belong_together),
        cmocka_unit_test(outside_the_table_there_is_no_name),
        cmocka_unit_test(unknown_names_have_no_value),
        cmocka_unit_test(gaps_are_skipped),
    };
    return cmocka_run_group_tests_name("base/strtab", tests, NULL, NULL);
}
