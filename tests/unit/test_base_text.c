/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static void text_grows(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    for (int i = 0; i < 5000; i++)
        hf_text_addf(&text, "%d,", i % 10);
    assert_int_equal(text.length, 10000);
    assert_int_equal(strlen(hf_text_peek(&text)), 10000);
    assert_memory_equal(hf_text_peek(&text) + 9980, "0,1,2,3,4,5,6,7,8,9,", 20);
}

static void text_mixes_all_additions(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_add(&text, "a");
    hf_text_add(&text, "");
    hf_text_add_bytes(&text, "bcd", 2);
    hf_text_add_bytes(&text, NULL, 0);
    hf_text_addf(&text, "%s%d", "x", 7);
    assert_string_equal(hf_text_peek(&text), "abcx7");
}

static void long_formats_are_not_cut(void **state)
{
    (void)state;
    char expected[3001];
    memset(expected, 'y', 3000);
    expected[3000] = '\0';
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_addf(&text, "%s", expected);
    assert_string_equal(hf_text_peek(&text), expected);
}

static void take_hands_over_and_empties(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_add(&text, "one");
    HF_CLEANUP_FREE char *taken = NULL;
    assert_int_equal(hf_text_take(&text, &taken), 0);
    assert_string_equal(taken, "one");
    assert_string_equal(hf_text_peek(&text), "");
    hf_text_add(&text, "two");
    assert_string_equal(hf_text_peek(&text), "two");
    assert_string_equal(taken, "one");
}

static void empty_text_is_an_empty_string(void **state)
{
    (void)state;
    HfText text = {0};
    assert_string_equal(hf_text_peek(&text), "");
    HF_CLEANUP_FREE char *taken = NULL;
    assert_int_equal(hf_text_take(&text, &taken), 0);
    assert_string_equal(taken, "");
}

static void failure_is_remembered_until_taken(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_add(&text, "one");
    hf_text_add_bytes(&text, "x", SIZE_MAX);
    hf_text_add(&text, "two");
    hf_text_addf(&text, "%d", 3);
    assert_true(text.failed);
    assert_string_equal(hf_text_peek(&text), "");
    assert_int_equal(text.length, 0);
    char unchanged[] = "unchanged";
    char *taken = unchanged;
    assert_int_equal(hf_text_take(&text, &taken), -ENOMEM);
    assert_ptr_equal(taken, unchanged);
    hf_text_add(&text, "again");
    assert_string_equal(hf_text_peek(&text), "again");
}

static void texts_are_added_to_a_vector(void **state)
{
    HF_CLEANUP_STRV char **words = NULL;
    HfText text = {0};

    (void)state;
    assert_int_equal(hf_strv_addf(&words, "%s=%d", "A", 1), 0);
    hf_text_add(&text, "taken");
    assert_int_equal(hf_strv_take(&words, &text), 0);
    hf_text_fail(&text, true);
    assert_int_equal(hf_strv_take(&words, &text), -ENOMEM);
    assert_int_equal(hf_strv_length(words), 2);
    assert_string_equal(words[0], "A=1");
    assert_string_equal(words[1], "taken");
    assert_false(text.failed);
}

static void a_failed_part_makes_the_whole_fail(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    hf_text_add(&text, "one");
    hf_text_fail(&text, false);
    assert_string_equal(hf_text_peek(&text), "one");
    hf_text_fail(&text, true);
    assert_true(text.failed);
    assert_string_equal(hf_text_peek(&text), "");
    assert_int_equal(text.length, 0);
}

static void growth_does_not_wrap(void **state)
{
    (void)state;
    static const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        hf_text_add(&text, "abcd");
        hf_text_add_bytes(&text, "x", lengths[i]);
        assert_true(text.failed);
    }
}

static void printable_table(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"", ""},
        {"plain ~", "plain ~"},
        {"a\nb\tc\x1b[0m\x7f", "a?b?c?[0m?"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "???\xc2\xa0"},
        {"\x80\xbf", "??"},
        {"\xc3", "?"},
        {"\xc3z", "?z"},
        {"\xe2\x82", "??"},
        {"\xe2\x82z", "??z"},
        {"\xf0\x9f\x98", "???"},
        {"\xc0\xaf\xc1\xbf", "????"},
        {"\xe0\x80\x80\xe0\x9f\xbf", "??????"},
        {"\xe0\xa0\x80", "\xe0\xa0\x80"},
        {"\xed\x9f\xbf\xed\xa0\x80", "\xed\x9f\xbf???"},
        {"\xf0\x8f\xbf\xbf\xf0\x90\x80\x80", "????\xf0\x90\x80\x80"},
        {"\xf4\x8f\xbf\xbf\xf4\x90\x80\x80", "\xf4\x8f\xbf\xbf????"},
        {"\xf5\x80\x80\x80\xff\xfe", "??????"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char out[64];
        size_t length = hf_text_printable(rows[i].in, strlen(rows[i].in), out, sizeof(out));
        assert_string_equal(out, rows[i].out);
        assert_int_equal(length, strlen(rows[i].out));
    }
}

static void printable_replaces_nul(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(hf_text_printable("a\0b", 3, out, sizeof(out)), 3);
    assert_string_equal(out, "a?b");
}

static void printable_cuts_between_characters(void **state)
{
    (void)state;
    static const char *const expected[] = {"", "a", "a", "a", "a\xe2\x82\xac", "a\xe2\x82\xacz"};
    for (size_t size = 1; size <= 6; size++) {
        char out[7] = "######";
        size_t length = hf_text_printable("a\xe2\x82\xacz", 5, out, size);
        assert_string_equal(out, expected[size - 1]);
        assert_int_equal(length, strlen(expected[size - 1]));
        if (size < 6)
            assert_int_equal(out[size], '#');
    }
}

static void printable_stops_at_the_length(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(hf_text_printable("\xc3\xa9", 1, out, sizeof(out)), 1);
    assert_string_equal(out, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),
        cmocka_unit_test(text_mixes_all_additions),
        cmocka_unit_test(long_formats_are_not_cut),
        cmocka_unit_test(take_hands_over_and_empties),
        cmocka_unit_test(empty_text_is_an_empty_string),
        cmocka_unit_test(failure_is_remembered_until_taken),
        cmocka_unit_test(texts_are_added_to_a_vector),
        cmocka_unit_test(a_failed_part_makes_the_whole_fail),
        cmocka_unit_test(growth_does_not_wrap),
        cmocka_unit_test(printable_table),
        cmocka_unit_test(printable_replaces_nul),
        cmocka_unit_test(printable_cuts_between_characters),
        cmocka_unit_test(printable_stops_at_the_length),
    };
    return cmocka_run_group_tests_name("base/text", tests, NULL, NULL);
}
