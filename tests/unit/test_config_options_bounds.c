/* SPDX-License-Identifier: MIT */
/* Values that are longer, or more, than an option takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/option.h"
#include "config/options.h"
#include "format/fastcgi.h"
#include "format/words.h"

/* option, and length more bytes. */
static int parse(const char *option, size_t length, HfText *error)
{
    size_t before = strlen(option);
    HF_CLEANUP_FREE char *word = hf_allocate(before + length + 1, 1);
    char *argv[] = {(char[]){"holdfast"}, (char[]){"run"}, word, (char[]){"php-fpm"}, NULL};
    HfCommandLine line;

    assert_non_null(word);
    memcpy(word, option, before);
    memset(word + before, 'a', length);
    int r = hf_options_parse(4, argv, &line, error);
    if (r == 0)
        hf_command_line_clear(&line);
    return r;
}

static void long_values_are_refused(void **state)
{
    static const struct {
        const char *option;
        size_t fits;
        size_t too_long;
        const char *error;
    } rows[] = {
        {"--directory=/", PATH_MAX - 2, PATH_MAX - 1, "is too long; a path has at most 4095 bytes"},
        {"--config=", PATH_MAX - 1, PATH_MAX, "is not the path of a file"},
        {"--ready=log:", HF_MATCHER_MAX, HF_MATCHER_MAX + 1,
         "is too long; write at most 256 bytes of it"},
        {"--canary=fastcgi:/", HF_FASTCGI_PARAMS_MAX / 5, HF_FASTCGI_PARAMS_MAX,
         "is not a page that can be asked for; write it from the root, without blanks, as "
         "/healthz.php"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_TEXT HfText error = {0};

        assert_int_equal(parse(rows[i].option, rows[i].fits, &error), 0);
        assert_int_equal(parse(rows[i].option, rows[i].too_long, &error), -EINVAL);
        assert_non_null(strstr(hf_text_peek(&error), rows[i].error));
    }
}

static void the_environment_is_bounded(void **state)
{
    char entries[HF_ENVIRONMENT_MAX + 1][64];
    char *argv[HF_ENVIRONMENT_MAX + 5] = {(char[]){"holdfast"}, (char[]){"run"}};
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    (void)state;
    for (size_t i = 0; i <= HF_ENVIRONMENT_MAX; i++) {
        snprintf(entries[i], sizeof(entries[i]), "--environment=A%zu=", i);
        argv[2 + i] = entries[i];
    }
    argv[HF_ENVIRONMENT_MAX + 3] = (char[]){"x"};
    assert_int_equal(hf_options_parse(HF_ENVIRONMENT_MAX + 4, argv, &line, &error), -EINVAL);
    assert_string_equal(hf_text_peek(&error), "--environment: more than 1024 entries");
    hf_text_clear(&error);
    argv[HF_ENVIRONMENT_MAX + 2] = (char[]){"y"};
    assert_int_equal(hf_options_parse(HF_ENVIRONMENT_MAX + 4, argv, &line, &error), 0);
    assert_int_equal(hf_strv_length(line.settings.environment), HF_ENVIRONMENT_MAX);
    hf_command_line_clear(&line);
}

static void headers_are_bounded(void **state)
{
    char entries[HF_HEADERS_MAX + 1][64];
    char *argv[HF_HEADERS_MAX + 5] = {(char[]){"holdfast"}, (char[]){"run"},
                                      (char[]){"--probe=http:/healthz"}};
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    (void)state;
    for (size_t i = 0; i <= HF_HEADERS_MAX; i++) {
        snprintf(entries[i], sizeof(entries[i]), "--http-header=X-%zu: a", i);
        argv[3 + i] = entries[i];
    }
    argv[HF_HEADERS_MAX + 4] = (char[]){"x"};
    assert_int_equal(hf_options_parse(HF_HEADERS_MAX + 5, argv, &line, &error), -EINVAL);
    assert_string_equal(hf_text_peek(&error), "--http-header: more than 64 headers");
    hf_text_clear(&error);
    argv[HF_HEADERS_MAX + 3] = (char[]){"y"};
    assert_int_equal(hf_options_parse(HF_HEADERS_MAX + 5, argv, &line, &error), 0);
    assert_int_equal(hf_strv_length(line.settings.http_headers), HF_HEADERS_MAX);
    hf_command_line_clear(&line);
}

static void pages_to_warm_with_are_bounded(void **state)
{
    static const char *const kinds[] = {"auto",    "recent",         "fastcgi:/a?b",
                                        "http:/a", "file:/etc/list", "exec:true a"};
    char entries[HF_WARMS_MAX + 1][64];
    char *argv[HF_WARMS_MAX + 6] = {(char[]){"holdfast"}, (char[]){"run"},
                                    (char[]){"--http-header=Host: a"}};
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    (void)state;
    for (size_t i = 0; i <= HF_WARMS_MAX; i++) {
        snprintf(entries[i], sizeof(entries[i]), "--warm=%s",
                 kinds[i % (sizeof(kinds) / sizeof(*kinds))]);
        argv[3 + i] = entries[i];
    }
    argv[HF_WARMS_MAX + 4] = (char[]){"x"};
    assert_int_equal(hf_options_parse(HF_WARMS_MAX + 5, argv, &line, &error), -EINVAL);
    assert_string_equal(hf_text_peek(&error),
                        "--warm: more than 256 of them; list pages in a file");
    hf_text_clear(&error);
    argv[HF_WARMS_MAX + 3] = (char[]){"y"};
    assert_int_equal(hf_options_parse(HF_WARMS_MAX + 4, argv, &line, &error), 0);
    assert_int_equal(hf_strv_length(line.settings.warm), HF_WARMS_MAX);
    hf_command_line_clear(&line);
}

static void long_words_are_near_to_nothing(void **state)
{
    static const char *const known[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbb"};

    (void)state;
    assert_null(hf_option_nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 32, known, 2));
    assert_null(hf_option_nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 33, known, 2));
    assert_string_equal(hf_option_nearest("bbb", 3, known, 2), "bbbb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_values_are_refused),
        cmocka_unit_test(the_environment_is_bounded),
        cmocka_unit_test(headers_are_bounded),
        cmocka_unit_test(pages_to_warm_with_are_bounded),
        cmocka_unit_test(long_words_are_near_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
