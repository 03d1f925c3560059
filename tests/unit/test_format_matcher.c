/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "format/words.h"

/* In pieces of each size. */
static bool is_found(const char *text, const char *stream)
{
    size_t length = strlen(stream);
    bool first = false;

    for (size_t piece = 1; piece <= length; piece++) {
        HfMatcher matcher;
        bool found = false;
        hf_matcher_init(&matcher, text, strlen(text));
        for (size_t at = 0; at < length; at += piece)
            found =
                hf_matcher_feed(&matcher, stream + at, piece < length - at ? piece : length - at);
        if (piece == 1)
            first = found;
        assert_int_equal(found, first);
    }
    return first;
}

static void text_is_found_however_it_is_cut(void **state)
{
    (void)state;
    assert_true(is_found("ready", "ready"));
    assert_true(is_found("ready", "now it is ready\n"));
    assert_true(is_found("ready", "rereready!"));
    assert_true(is_found("aab", "aaaaab"));
    assert_true(is_found("abababc", "abababababc"));
    assert_true(is_found("x", "x"));
    assert_false(is_found("ready", "rea\ndy ead r eady"));
    assert_false(is_found("ready", "read"));
    assert_false(is_found("aab", "ababab"));
}

static void what_was_found_stays_found(void **state)
{
    HfMatcher matcher;

    (void)state;
    hf_matcher_init(&matcher, "on", 2);
    assert_false(hf_matcher_feed(&matcher, NULL, 0));
    assert_false(hf_matcher_feed(&matcher, "o", 1));
    assert_true(hf_matcher_feed(&matcher, "n", 1));
    assert_true(hf_matcher_feed(&matcher, "off", 3));
}

static void the_longest_text(void **state)
{
    char text[HF_MATCHER_MAX];
    HfMatcher matcher;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 'b';
    hf_matcher_init(&matcher, text, sizeof(text));
    for (size_t i = 0; i < 100000; i++)
        assert_false(hf_matcher_feed(&matcher, "a", 1));
    assert_true(hf_matcher_feed(&matcher, "b", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_found_however_it_is_cut),
        cmocka_unit_test(what_was_found_stays_found),
        cmocka_unit_test(the_longest_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
