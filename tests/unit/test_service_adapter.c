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
        cmocka_unit_test(automatic_choices),
        cmocka_unit_test(no_command_is_generic),
        cmocka_unit_test(explicit_choices_win),
        cmocka_unit_test(help_names_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
