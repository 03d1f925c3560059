/* SPDX-License-Identifier: MIT */
/* Lists of pages, and paths that a deploy has moved. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/pages.h"

static void good_lines(void **state)
{
    static const struct {
        const char *line, *method, *target, *host;
        bool secure;
    } rows[] = {
        {"/", "GET", "/", NULL, false},
        {"  /a.php?x=1\t\r", "GET", "/a.php?x=1", NULL, false},
        {"GET /x", "GET", "/x", NULL, false},
        {"HEAD \t /x", "HEAD", "/x", NULL, false},
        {"GET http://example.org/a?b", "GET", "/a?b", "example.org", false},
        {"GET https://example.org:8443/", "GET", "/", "example.org:8443", true},
        {"https://[::1]:8080", "GET", "/", "[::1]:8080", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfPage page;
        assert_int_equal(hf_page_parse(rows[i].line, strlen(rows[i].line), &page), 1);
        assert_string_equal(page.method, rows[i].method);
        assert_string_equal(page.target, rows[i].target);
        assert_int_equal(page.host != NULL, rows[i].host != NULL);
        if (rows[i].host)
            assert_string_equal(page.host, rows[i].host);
        assert_int_equal(page.secure, rows[i].secure);
        hf_page_clear(&page);
    }
}

static void other_lines(void **state)
{
    static const char *const skipped[] = {"", " \t", "# all", "  #"};
    static const char *const bad[] = {
        "x",
        "GET",
        "GET ",
        "POST /x",
        "GET x",
        "http://",
        "http:///",
        "http://a b/",
        "GET /a b",
        "http://a\tb/",
        "https://a@b/",
        "/a#b",
        "GET http://?x",
        "http://a?b",
    };
    char *large = malloc(HF_PAGES_MAX + 2);
    HfPage page;

    (void)state;
    assert_non_null(large);
    for (size_t i = 0; i < sizeof(skipped) / sizeof(*skipped); i++)
        assert_int_equal(hf_page_parse(skipped[i], strlen(skipped[i]), &page), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(hf_page_parse(bad[i], strlen(bad[i]), &page), -EINVAL);
    assert_int_equal(hf_page_parse("/\0x", 3, &page), -EINVAL);
    memset(large, '/', HF_PAGES_MAX + 1);
    assert_int_equal(hf_page_parse(large, HF_PAGES_MAX + 1, &page), -EINVAL);
    free(large);
}

static void paths_move_with_a_deploy(void **state)
{
    static const struct {
        const char *path, *before, *after, *moved;
    } rows[] = {
        {"/srv/1/public/x.php", "/srv/1/public", "/srv/2/public", "/srv/2/public/x.php"},
        {"/srv/1/vendor/y.php", "/srv/1/public", "/srv/2/public", "/srv/2/vendor/y.php"},
        {"/srv/1/y.php", "/srv/1", "/srv/22", "/srv/22/y.php"},
        {"/srv/12/y.php", "/srv/1", "/srv/2", "/srv/12/y.php"},
        {"/srv/1", "/srv/1", "/srv/2", "/srv/1"},
        {"/usr/share/z.php", "/srv/1", "/srv/2", "/usr/share/z.php"},
        {"/srv/1/x", "/srv/1", "/srv/1", "/srv/1/x"},
        {"/srv/a1/x", "/srv/a1", "/srv/b1", "/srv/b1/x"},
        {"/x", "", "", "/x"},
        {"/x", "", "/srv", "/x"},
        {"/srv/x", "/srv", "", "/x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        hf_path_moved(rows[i].path, strlen(rows[i].path), rows[i].before, rows[i].after, &text);
        assert_string_equal(hf_text_peek(&text), rows[i].moved);
    }
}

static void an_answer_about_scripts(void **state)
{
    static const struct {
        const char *body, *rest;
        int result;
    } rows[] = {
        {"ok\n/a\n/b", "/a\n/b", 1},
        {"ok\n", "", 1},
        {"no\n++", "no", 0},
        {"opcache is off\nmore", "opcache is off", 0},
        {"\n", "", 0},
        {"ok", NULL, -EBADMSG},
        {"", NULL, -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *rest = NULL;
        size_t length = 0;
        assert_int_equal(hf_scripts_answer(rows[i].body, strlen(rows[i].body), &rest, &length),
                         rows[i].result);
        assert_int_equal(rest != NULL, rows[i].rest != NULL);
        if (rest) {
            assert_int_equal(length, strlen(rows[i].rest));
            assert_memory_equal(rest, rows[i].rest, length);
        }
    }
}

static void scripts_move_with_a_deploy(void **state)
{
    static const char list[] = "/srv/1/a.php\n\n/srv/1/\0\n/usr/b.php";
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    assert_int_equal(hf_scripts_moved(list, sizeof(list) - 1, "/srv/1", "/srv/2", &text), 2);
    assert_string_equal(hf_text_peek(&text), "/srv/2/a.php\n/usr/b.php\n");
    assert_int_equal(hf_scripts_moved("", 0, "", "", &text), 0);
}

static void marks_of_scripts(void **state)
{
    static const char scripts[] = "/1\n/22\n/3\n/4\n/5\n/6";
    HF_CLEANUP_TEXT HfText again = {0};
    HfScriptMarks marks;

    (void)state;
    assert_int_equal(hf_scripts_mark("+~x", 3, scripts, sizeof(scripts) - 1, &marks, &again),
                     strlen("/1/22/3") + 3);
    assert_int_equal(marks.compiled, 1);
    assert_int_equal(marks.gone, 1);
    assert_false(marks.full);
    assert_string_equal(hf_text_peek(&again), "/22\n");
    assert_int_equal(hf_scripts_mark("f-==+?++", 8, scripts, sizeof(scripts) - 1, &marks, &again),
                     sizeof(scripts) - 1);
    assert_int_equal(marks.compiled, 3);
    assert_int_equal(marks.gone, 0);
    assert_true(marks.full);
    assert_int_equal(hf_scripts_mark("", 0, scripts, sizeof(scripts) - 1, &marks, &again), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_lines),
        cmocka_unit_test(other_lines),
        cmocka_unit_test(paths_move_with_a_deploy),
        cmocka_unit_test(an_answer_about_scripts),
        cmocka_unit_test(scripts_move_with_a_deploy),
        cmocka_unit_test(marks_of_scripts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
