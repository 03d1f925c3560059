/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "config/settings.h"

static void every_text_becomes_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool lower;
        const char *want;
    } rows[] = {
        {"php-fpm8.2", true, "php-fpm8.2"},
        {"Web_1", false, "Web_1"},
        {"Web_1", true, "web_1"},
        {"", true, "-"},
        {".hidden", true, "-hidden"},
        {"..", true, "-."},
        {"a b/c:d,e=f", false, "a-b-c-d-e-f"},
        {"\x01\x7f\xc3\xa4", false, "----"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_FREE char *name = NULL;
        assert_int_equal(hf_name_clean(rows[i].text, rows[i].lower, &name), 0);
        assert_string_equal(name, rows[i].want);
    }
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    char text[3 * HF_NAME_MAX] = {0};
    HF_CLEANUP_FREE char *name = NULL;

    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(hf_name_clean(text, false, &name), 0);
    assert_int_equal(strlen(name), HF_NAME_MAX);
}

static void an_address_names_its_listener(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        const char *want;
    } rows[] = {
        {"9000", "9000"},
        {"127.0.0.1:9000", "127.0.0.1-9000"},
        {"[::1]:9000", "--1--9000"},
        {"/run/php/www.sock", "run-php-www.sock"},
        {"@web", "web"},
        {"localhost:80", "localhost-80"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_FREE char *name = NULL;
        HfAddress address;
        assert_int_equal(hf_address_parse(rows[i].address, &address), 0);
        assert_int_equal(hf_name_of_address(&address, &name), 0);
        assert_string_equal(name, rows[i].want);
    }
}

static void the_program_names_its_instance(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        const char *name;
        const char *want;
    } rows[] = {
        {"/usr/sbin/php-fpm8.2", NULL, "php-fpm8.2"},
        {"Server", NULL, "server"},
        {"php-fpm8.2", "shop", "shop"},
        {"/", NULL, "-"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_SETTINGS HfSettings settings;
        HF_CLEANUP_FREE char *name = NULL;
        hf_settings_init(&settings);
        assert_int_equal(hf_strv_append(&settings.command, rows[i].command), 0);
        assert_int_equal(hf_string_set(&settings.name, rows[i].name), 0);
        assert_int_equal(hf_name_of_instance(&settings, &name), 0);
        assert_string_equal(name, rows[i].want);
    }
}

static void instances_are_below_the_callers_runtime_directory(void **state)
{
    (void)state;
    static const struct {
        uid_t uid;
        const char *own;
        const char *from_systemd;
        const char *want;
    } rows[] = {
        {0, "/run/user/0", NULL, "/run/holdfast"},
        {65534, NULL, NULL, "/run/holdfast"},
        {65534, "/run/user/1", NULL, "/run/user/1/holdfast"},
        {65534, "run", NULL, "/run/holdfast"},
        {65534, "/run/user/1", "", "/run/user/1/holdfast"},
        {65534, "/run/user/1", "/run/holdfast/web", "/run/holdfast"},
        {65534, "/run/user/1", "/run/other:/run/holdfast/web", "/run/holdfast"},
        {65534, "/run/user/1", "/run/holdfast-like/web", "/run/user/1/holdfast"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_FREE char *base = NULL;
        if (geteuid() != 0 && rows[i].uid == 0)
            continue;
        assert_int_equal(rows[i].own ? setenv("XDG_RUNTIME_DIR", rows[i].own, 1)
                                     : unsetenv("XDG_RUNTIME_DIR"),
                         0);
        assert_int_equal(rows[i].from_systemd ? setenv("RUNTIME_DIRECTORY", rows[i].from_systemd, 1)
                                              : unsetenv("RUNTIME_DIRECTORY"),
                         0);
        if (geteuid() == 0 && rows[i].uid != 0)
            assert_int_equal(seteuid(rows[i].uid), 0);
        int r = hf_name_of_runtime_base(&base);
        if (getuid() == 0)
            assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, 0);
        assert_string_equal(base, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_becomes_a_name),
        cmocka_unit_test(a_long_text_is_cut),
        cmocka_unit_test(an_address_names_its_listener),
        cmocka_unit_test(the_program_names_its_instance),
        cmocka_unit_test(instances_are_below_the_callers_runtime_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
