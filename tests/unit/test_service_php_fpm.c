/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/php_fpm/php_fpm.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define ARGUMENTS_MAX 8

typedef struct Row {
    const char *argv[ARGUMENTS_MAX];
    const char *kept; /* joined with | */
    const char *configuration;
    const char *prefix;
    const char *pid_file;
    bool daemonize;
} Row;

static int parse(const char *const *words, HfPhpfpmArguments *ret, HfText *error)
{
    char *argv[ARGUMENTS_MAX + 1] = {0};
    for (size_t i = 0; i < ARGUMENTS_MAX && words[i]; i++)
        argv[i] = strdup(words[i]);
    int r = hf_phpfpm_arguments_parse(argv, ret, error);
    for (size_t i = 0; i < ARGUMENTS_MAX; i++)
        free(argv[i]);
    return r;
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void arguments_are_read_as_php_getopt_does(void **state)
{
    (void)state;
    static const Row rows[] = {
        {{"php-fpm8.2"}, "php-fpm8.2", NULL, NULL, NULL, false},
        {{"f", "-F"}, "f", NULL, NULL, NULL, false},
        {{"f", "--nodaemonize"}, "f", NULL, NULL, NULL, false},
        {{"f", "--nodaemonize=1", "-n"}, "f|-n", NULL, NULL, NULL, false},
        {{"f", "-D"}, "f", NULL, NULL, NULL, true},
        {{"f", "-D", "-F"}, "f", NULL, NULL, NULL, true},
        {{"f", "--daemonize"}, "f", NULL, NULL, NULL, true},
        {{"f", "-nDFRO"}, "f|-n|-R|-O", NULL, NULL, NULL, true},
        {{"f", "-ne", "-RF"}, "f|-n|-e|-R", NULL, NULL, NULL, false},
        {{"f", "--no-php-ini", "--profile-info", "--allow-to-run-as-root", "--force-stderr"},
         "f|-n|-e|-R|-O",
         NULL,
         NULL,
         NULL,
         false},
        {{"f", "-y", "a"}, "f", "a", NULL, NULL, false},
        {{"f", "-ya"}, "f", "a", NULL, NULL, false},
        {{"f", "-y=a"}, "f", "a", NULL, NULL, false},
        {{"f", "-y==a"}, "f", "=a", NULL, NULL, false},
        {{"f", "-ny", "a", "-F"}, "f|-n", "a", NULL, NULL, false},
        {{"f", "-nya-F"}, "f|-n", "a-F", NULL, NULL, false},
        {{"f", "-y", "-F"}, "f", "-F", NULL, NULL, false},
        {{"f", "-y", "--"}, "f", "--", NULL, NULL, false},
        {{"f", "--fpm-config", "a"}, "f", "a", NULL, NULL, false},
        {{"f", "--fpm-config=a"}, "f", "a", NULL, NULL, false},
        {{"f", "--fpm-config==a"}, "f", "a", NULL, NULL, false},
        {{"f", "-y", "a", "-y", "b"}, "f", "b", NULL, NULL, false},
        {{"f", "-y", "a", "-y", ""}, "f", NULL, NULL, NULL, false},
        {{"f", "-y="}, "f", NULL, NULL, NULL, false},
        {{"f", "-p", "/srv"}, "f|-p|/srv", NULL, "/srv", NULL, false},
        {{"f", "--prefix=."}, "f|-p|.", NULL, ".", NULL, false},
        {{"f", "-p", ""}, "f|-p|", NULL, NULL, NULL, false},
        {{"f", "-g", "/run/p"}, "f", NULL, NULL, "/run/p", false},
        {{"f", "--pid", "/run/p", "-n"}, "f|-n", NULL, NULL, "/run/p", false},
        {{"f", "-d", "a=b", "-dc=d", "--define", "e"},
         "f|-d|a=b|-d|c=d|-d|e",
         NULL,
         NULL,
         NULL,
         false},
        {{"f", "-d", "fpm.configuration=x"}, "f|-d|fpm.configuration=x", NULL, NULL, NULL, false},
        {{"f", "-c", "/etc", "--php-ini=x"}, "f|-c|/etc|-c|x", NULL, NULL, NULL, false},
        {{"f", "-n", "--"}, "f|-n", NULL, NULL, NULL, false},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        HF_CLEANUP_TEXT HfText kept = {0};
        HfPhpfpmArguments got = {0};
        assert_int_equal(parse(rows[i].argv, &got, &error), 0);
        for (char **word = got.arguments; *word; word++)
            hf_text_addf(&kept, "%s%s", word == got.arguments ? "" : "|", *word);
        if (!same(hf_text_peek(&kept), rows[i].kept) ||
            !same(got.configuration, rows[i].configuration) || !same(got.prefix, rows[i].prefix) ||
            !same(got.pid_file, rows[i].pid_file) || got.daemonize != rows[i].daemonize)
            fail_msg("row %zu: %s, -y %s, -p %s, -g %s, -D %d", i, hf_text_peek(&kept),
                     got.configuration, got.prefix, got.pid_file, got.daemonize);
        hf_phpfpm_arguments_clear(&got);
        assert_null(got.arguments);
    }
}

static void bad_arguments_are_refused_with_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *argv[ARGUMENTS_MAX];
        const char *says;
    } rows[] = {
        {{"f", "-t"}, "exits with -t"},
        {{"f", "-nt"}, "exits with -t"},
        {{"f", "--test"}, "exits with -t"},
        {{"f", "-i"}, "exits with -i"},
        {{"f", "-m"}, "exits with -m"},
        {{"f", "--version"}, "exits with -v"},
        {{"f", "--help"}, "exits with -h"},
        {{"f", "--usage"}, "exits with -h"},
        {{"f", "-?"}, "exits with -?"},
        {{"f", "-x"}, "no option -x;"},
        {{"f", "-:"}, "no option -:;"},
        {{"f", "-n-"}, "no option -n-;"},
        {{"f", "-F=1"}, "no option -F=1;"},
        {{"f", "--fpm-conf=x"}, "no option --fpm-conf=x;"},
        {{"f", "--fpm-config="}, "no option --fpm-config=;"},
        {{"f", "--=x"}, "no option --=x;"},
        {{"f", "-\x1b[2J"}, "no option -?[2J;"},
        {{"f", "-y"}, "-y needs a value"},
        {{"f", "-nd"}, "-nd needs a value"},
        {{"f", "--pid"}, "--pid needs a value"},
        {{"f", "-n", "x", "-y", "a"}, "not \"x\""},
        {{"f", "--", "x"}, "not \"x\""},
        {{"f", "-"}, "not \"-\""},
        {{"f", ""}, "not \"\""},
        {{"f", "-d", "fpm.config=/x"}, "with -y FILE"},
        {{"f", "-d", " fpm.config = /x"}, "with -y FILE"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        HfPhpfpmArguments got = {.configuration = (char *)&got};
        int r = parse(rows[i].argv, &got, &error);
        if (r != -EINVAL || !strstr(hf_text_peek(&error), rows[i].says) ||
            strchr(hf_text_peek(&error), '\n'))
            fail_msg("row %zu: %d, %s", i, r, hf_text_peek(&error));
        assert_ptr_equal(got.configuration, &got);
    }
}

static void a_long_bad_argument_is_shortened(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText error = {0};
    HfPhpfpmArguments got;
    char word[5000];

    memset(word, 'x', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    const char *const argv[ARGUMENTS_MAX] = {"f", word};
    assert_int_equal(parse(argv, &got, &error), -EINVAL);
    assert_true(error.length < 200);
}

static void addresses_are_read_as_php_fpm_does(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        const char *prefix;
        int result;
        HfAddressKind kind;
        const char *text;
    } rows[] = {
        {"9000", NULL, 0, HF_ADDRESS_PORT, "9000"},
        {"009000", NULL, 0, HF_ADDRESS_PORT, "9000"},
        {"127.0.0.1:9000", NULL, 0, HF_ADDRESS_INET, "127.0.0.1:9000"},
        {"[::1]:9000", NULL, 0, HF_ADDRESS_INET6, "[::1]:9000"},
        {"[::]:9000", NULL, 0, HF_ADDRESS_INET6, "[::]:9000"},
        {"::1:9000", NULL, 0, HF_ADDRESS_INET6, "[::1]:9000"},
        {"0:0:0:0:0:0:0:1:9000", NULL, 0, HF_ADDRESS_INET6, "[::1]:9000"},
        {"localhost:9000", NULL, 0, HF_ADDRESS_HOST, "localhost:9000"},
        {"/run/php.sock", NULL, 0, HF_ADDRESS_UNIX, "/run/php.sock"},
        {"run/php.sock", "/srv/a", 0, HF_ADDRESS_UNIX, "/srv/a/run/php.sock"},
        {"@php", "/srv", 0, HF_ADDRESS_UNIX, "/srv/@php"},
        {"9000x", "/srv", 0, HF_ADDRESS_UNIX, "/srv/9000x"},
        {"run/php.sock", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"run/php.sock", "srv", -EINVAL, HF_ADDRESS_NONE, NULL},
        {"php.sock", "/srv:1", -EINVAL, HF_ADDRESS_NONE, NULL},
        {"", "/srv", -EINVAL, HF_ADDRESS_NONE, NULL},
        {"0", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"70000", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"127.0.0.1:", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"127.0.0.1:http", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {":9000", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"unix:/run/php.sock", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"/run/a:b.sock", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"/run/a:9000", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"@a:9000", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"[::1]x:9000", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"::1]:9000", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
        {"/run/\x07", NULL, -EINVAL, HF_ADDRESS_NONE, NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        char text[HF_ADDRESS_TEXT_MAX];
        HfAddress address = {.kind = HF_ADDRESS_NONE};
        int r = hf_phpfpm_address(rows[i].listen, rows[i].prefix, &address);
        hf_address_format(&address, text);
        if (r != rows[i].result || address.kind != rows[i].kind ||
            (r == 0 && strcmp(text, rows[i].text) != 0))
            fail_msg("%s: %d, %s", rows[i].listen, r, text);
    }
}

static void overlong_addresses_are_refused(void **state)
{
    (void)state;
    char long_text[2000];
    HfAddress address;

    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    *long_text = '/';
    assert_int_equal(hf_phpfpm_address(long_text, NULL, &address), -ENAMETOOLONG);
    assert_int_equal(hf_phpfpm_address("a", long_text, &address), -ENAMETOOLONG);
    *long_text = 'a';
    memcpy(long_text + sizeof(long_text) - 6, ":9000", 6);
    assert_int_equal(hf_phpfpm_address(long_text, NULL, &address), -ENAMETOOLONG);
    memset(long_text, ':', sizeof(long_text) - 6);
    assert_int_equal(hf_phpfpm_address(long_text, NULL, &address), -ENAMETOOLONG);
}

static void keys_are_what_php_fpm_looks_up(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        const char *keys[2];
    } rows[] = {
        {"9000", {":::9000", "0.0.0.0:9000"}},
        {"127.0.0.1:9000", {"127.0.0.1:9000"}},
        {"0.0.0.0:80", {"0.0.0.0:80"}},
        {"[::1]:9000", {"::1:9000"}},
        {"[::]:9000", {":::9000"}},
        {"[0:0::1]:9000", {"::1:9000"}},
        {"[::ffff:127.0.0.1]:9000", {"::ffff:127.0.0.1:9000"}},
        {"[fe80::1%2]:9000", {"fe80::1:9000"}},
        {"/run/php [x].sock", {"/run/php [x].sock"}},
        {"localhost:9000", {0}},
        {"@php", {0}},
        {"/run/a:b", {0}},
        {"/run/a,b", {0}},
        {"/run/a=b", {0}},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HfAddress address;
        assert_int_equal(hf_address_parse(rows[i].address, &address), 0);
        for (unsigned index = 0; index < 3; index++) {
            const char *want = index < 2 ? rows[i].keys[index] : NULL;
            char key[HF_ADDRESS_TEXT_MAX] = "untouched";
            int r = hf_phpfpm_key(&address, index, key);
            int expected = want ? 0 : rows[i].keys[0] ? -ENOENT : -EINVAL;
            if (r != expected || strcmp(key, want ? want : "untouched") != 0)
                fail_msg("%s %u: %d, %s", rows[i].address, index, r, key);
        }
    }
    char key[HF_ADDRESS_TEXT_MAX];
    assert_int_equal(hf_phpfpm_key(&(HfAddress){0}, 0, key), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_read_as_php_getopt_does),
        cmocka_unit_test(bad_arguments_are_refused_with_one_line),
        cmocka_unit_test(a_long_bad_argument_is_shortened),
        cmocka_unit_test(addresses_are_read_as_php_fpm_does),
        cmocka_unit_test(overlong_addresses_are_refused),
        cmocka_unit_test(keys_are_what_php_fpm_looks_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
