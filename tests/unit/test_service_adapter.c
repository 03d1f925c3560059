/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "config/option.h"
#include "config/options.h"
#include "service/adapter.h"

static void automatic_choices(void **state)
{
    (void)state;
    static const struct {
        const char *program;
        const HfAdapter *adapter;
        const HfHandoff *handoff;
    } rows[] = {
        {"php-fpm", &hf_adapter_php_fpm, &hf_handoff_php_fpm},
        {"php-fpm8.2", &hf_adapter_php_fpm, &hf_handoff_php_fpm},
        {"/usr/sbin/php-fpm8.2", &hf_adapter_php_fpm, &hf_handoff_php_fpm},
        {"php-cgi", &hf_adapter_php_cgi, &hf_handoff_stdin},
        {"./php-cgi8.2", &hf_adapter_php_cgi, &hf_handoff_stdin},
        {"php", &hf_adapter_generic, &hf_handoff_listen_fds},
        {"my-php-fpm", &hf_adapter_generic, &hf_handoff_listen_fds},
        {"/opt/php-fpm/server", &hf_adapter_generic, &hf_handoff_listen_fds},
        {"/opt/php-fpm/", &hf_adapter_generic, &hf_handoff_listen_fds},
        {"", &hf_adapter_generic, &hf_handoff_listen_fds},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_SETTINGS HfSettings settings;
        hf_settings_init(&settings);
        assert_int_equal(hf_strv_append(&settings.command, rows[i].program), 0);
        assert_ptr_equal(hf_adapter_of(&settings), rows[i].adapter);
        assert_ptr_equal(hf_handoff_of(&settings), rows[i].handoff);
    }
}

/* The program behind other programs, and where what is run begins. */
static void programs_are_found_behind_others(void **state)
{
    (void)state;
    static const struct {
        const char *adapter;
        const char *words[8];
        size_t program, first;
        const HfAdapter *want;
    } rows[] = {
        {NULL, {"nice", "-n", "5", "php-fpm8.2", "-F"}, 3, 0, &hf_adapter_php_fpm},
        {NULL,
         {"/usr/bin/env", "A=/php-fpm", "B=php-fpm", "/x/php-fpm"},
         3,
         0,
         &hf_adapter_php_fpm},
        {NULL, {"docker-php-entrypoint", "php-fpm"}, 1, 0, &hf_adapter_php_fpm},
        {NULL, {"docker-php-entrypoint", "-F"}, 0, 0, &hf_adapter_php_fpm},
        {NULL, {"docker-php-entrypoint", "sh"}, 0, 0, &hf_adapter_generic},
        {NULL, {"docker-php-entrypoint"}, 0, 0, &hf_adapter_generic},
        {NULL, {"gosu", "www-data", "php-cgi8.2"}, 2, 0, &hf_adapter_php_cgi},
        {NULL, {"tini", "--", "php-fpm"}, 2, 2, &hf_adapter_php_fpm},
        {NULL, {"tini", "-g", "-p", "TERM", "nice", "php-fpm"}, 5, 4, &hf_adapter_php_fpm},
        {NULL, {"dumb-init", "-r", "15:3", "php-fpm"}, 3, 3, &hf_adapter_php_fpm},
        {NULL, {"dumb-init", "-p", "php-fpm"}, 2, 2, &hf_adapter_php_fpm},
        {NULL, {"tini", "--", "/opt/server"}, 0, 0, &hf_adapter_generic},
        {NULL, {"tini", "-", "php-fpm"}, 2, 2, &hf_adapter_php_fpm},
        {NULL, {"nice", "vi", "/etc/php-fpm.conf"}, 0, 0, &hf_adapter_generic},
        {NULL, {"sh", "-c", "php-fpm"}, 0, 0, &hf_adapter_generic},
        {"php-fpm", {"/opt/start", "x", "php-fpm"}, 2, 0, &hf_adapter_php_fpm},
        {"php-fpm", {"/opt/my-fpm", "-y", "/etc/php-fpm.conf"}, 0, 0, &hf_adapter_php_fpm},
        {"generic", {"nice", "php-fpm"}, 0, 0, &hf_adapter_generic},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_SETTINGS HfSettings settings;
        hf_settings_init(&settings);
        assert_int_equal(hf_string_set(&settings.adapter, rows[i].adapter), 0);
        for (size_t j = 0; rows[i].words[j]; j++)
            assert_int_equal(hf_strv_append(&settings.command, rows[i].words[j]), 0);
        assert_int_equal(hf_adapter_program_word(&settings), rows[i].program);
        assert_int_equal(hf_adapter_first_word(&settings), rows[i].first);
        assert_ptr_equal(hf_adapter_of(&settings), rows[i].want);
    }
}

static void no_command_is_generic(void **state)
{
    (void)state;
    HfSettings settings;
    hf_settings_init(&settings);
    assert_ptr_equal(hf_adapter_of(&settings), &hf_adapter_generic);
    char *nothing[] = {NULL};
    settings.command = nothing;
    assert_ptr_equal(hf_adapter_of(&settings), &hf_adapter_generic);
}

static void explicit_choices_win(void **state)
{
    (void)state;
    HF_CLEANUP_SETTINGS HfSettings settings;
    hf_settings_init(&settings);
    assert_int_equal(hf_strv_append(&settings.command, "php-fpm8.2"), 0);
    assert_int_equal(hf_string_set(&settings.adapter, "php-cgi"), 0);
    assert_ptr_equal(hf_adapter_of(&settings), &hf_adapter_php_cgi);
    assert_ptr_equal(hf_handoff_of(&settings), &hf_handoff_stdin);
    assert_int_equal(hf_string_set(&settings.handoff, "listen-fds"), 0);
    assert_ptr_equal(hf_handoff_of(&settings), &hf_handoff_listen_fds);
    assert_int_equal(hf_string_set(&settings.adapter, "generic"), 0);
    assert_ptr_equal(hf_adapter_of(&settings), &hf_adapter_generic);
}

/* What --help offers is what there is. */
static void help_names_them_all(void **state)
{
    (void)state;
    size_t n = 0;
    for (; hf_adapters[n]; n++) {
        assert_string_equal(hf_option_type_adapter.choice(n + 1), hf_adapters[n]->name);
        assert_ptr_equal(hf_adapter_find(hf_adapters[n]->name), hf_adapters[n]);
        assert_true(!hf_adapters[n]->program == !hf_adapters[n + 1]);
    }
    assert_null(hf_option_type_adapter.choice(n + 1));
    for (n = 0; hf_handoffs[n]; n++) {
        assert_string_equal(hf_option_type_handoff.choice(n + 1), hf_handoffs[n]->name);
        assert_ptr_equal(hf_handoff_find(hf_handoffs[n]->name), hf_handoffs[n]);
    }
    assert_null(hf_option_type_handoff.choice(n + 1));
    assert_null(hf_adapter_find("PHP-FPM"));
    assert_null(hf_handoff_find("server_starter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(automatic_choices),     cmocka_unit_test(programs_are_found_behind_others),
        cmocka_unit_test(no_command_is_generic), cmocka_unit_test(explicit_choices_win),
        cmocka_unit_test(help_names_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
