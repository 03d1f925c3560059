#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/settings.h"

static void defaults(void **state)
{
    (void)state;
    HfSettings settings;
    memset(&settings, 0x5a, sizeof(settings));
    hf_settings_init(&settings);
    assert_null(settings.name);
    assert_null(settings.listeners);
    assert_int_equal(settings.n_listeners, 0);
    assert_null(settings.directory);
    assert_null(settings.command);
    assert_int_equal(settings.adapter, HF_ADAPTER_AUTO);
    assert_int_equal(settings.handoff, HF_HANDOFF_AUTO);
    assert_int_equal(settings.ready_timeout, 60 * HF_USEC_PER_SEC);
    assert_int_equal(settings.drain_timeout, 30 * HF_USEC_PER_SEC);

    HfListenerSpec spec;
    memset(&spec, 0x5a, sizeof(spec));
    hf_listener_spec_init(&spec);
    assert_int_equal(spec.address.kind, HF_ADDRESS_NONE);
    assert_int_equal(spec.backlog, HF_BACKLOG_MAXIMUM);
    assert_int_equal(spec.mode, HF_MODE_UNSET);
    assert_true(!spec.name && !spec.owner && !spec.group && !spec.acl_users && !spec.acl_groups);
}

static HfListenerSpec full_spec(void)
{
    HfListenerSpec spec;
    hf_listener_spec_init(&spec);
    assert_int_equal(hf_address_parse("9000", &spec.address), 0);
    spec.backlog = 7;
    spec.mode = 0660;
    assert_int_equal(hf_string_set(&spec.name, "name"), 0);
    assert_int_equal(hf_string_set(&spec.owner, "owner"), 0);
    assert_int_equal(hf_string_set(&spec.group, "group"), 0);
    assert_int_equal(hf_string_set(&spec.acl_users, "users"), 0);
    assert_int_equal(hf_string_set(&spec.acl_groups, "groups"), 0);
    return spec;
}

static void clear_frees_everything(void **state)
{
    (void)state;
    HfSettings settings;
    hf_settings_init(&settings);
    assert_int_equal(hf_string_set(&settings.name, "x"), 0);
    assert_int_equal(hf_string_set(&settings.directory, "/"), 0);
    assert_int_equal(hf_strv_append(&settings.command, "true"), 0);
    settings.listeners = hf_allocate(2, sizeof(*settings.listeners));
    assert_non_null(settings.listeners);
    settings.listeners[0] = full_spec();
    settings.listeners[1] = full_spec();
    settings.n_listeners = 2;
    settings.drain_timeout = 1;
    hf_settings_clear(&settings);
    assert_null(settings.listeners);
    assert_int_equal(settings.n_listeners, 0);
    assert_null(settings.name);
    assert_null(settings.command);
    assert_int_equal(settings.drain_timeout, 30 * HF_USEC_PER_SEC);
    hf_settings_clear(&settings);

    HfSettings zeroed = {0};
    hf_settings_clear(&zeroed);
}

static void spec_copy_is_deep(void **state)
{
    (void)state;
    HfListenerSpec spec = full_spec(), copy;
    assert_int_equal(hf_listener_spec_copy(&spec, &copy), 0);
    hf_listener_spec_clear(&spec);
    assert_null(spec.name);
    assert_int_equal(spec.mode, HF_MODE_UNSET);
    assert_string_equal(copy.name, "name");
    assert_string_equal(copy.owner, "owner");
    assert_string_equal(copy.group, "group");
    assert_string_equal(copy.acl_users, "users");
    assert_string_equal(copy.acl_groups, "groups");
    assert_int_equal(copy.backlog, 7);
    assert_int_equal(copy.mode, 0660);
    assert_int_equal(copy.address.port, 9000);
    hf_listener_spec_clear(&copy);

    assert_int_equal(hf_listener_spec_copy(&spec, &copy), 0);
    assert_true(!copy.name && !copy.owner && !copy.group && !copy.acl_users && !copy.acl_groups);
}

static void automatic_choices(void **state)
{
    (void)state;
    static const struct {
        const char *program;
        HfAdapter adapter;
        HfHandoff handoff;
    } rows[] = {
        {"php-fpm", HF_ADAPTER_PHP_FPM, HF_HANDOFF_PHP_FPM},
        {"php-fpm8.2", HF_ADAPTER_PHP_FPM, HF_HANDOFF_PHP_FPM},
        {"/usr/sbin/php-fpm8.2", HF_ADAPTER_PHP_FPM, HF_HANDOFF_PHP_FPM},
        {"php-cgi", HF_ADAPTER_PHP_CGI, HF_HANDOFF_STDIN},
        {"./php-cgi8.2", HF_ADAPTER_PHP_CGI, HF_HANDOFF_STDIN},
        {"php", HF_ADAPTER_GENERIC, HF_HANDOFF_LISTEN_FDS},
        {"my-php-fpm", HF_ADAPTER_GENERIC, HF_HANDOFF_LISTEN_FDS},
        {"/opt/php-fpm/server", HF_ADAPTER_GENERIC, HF_HANDOFF_LISTEN_FDS},
        {"/opt/php-fpm/", HF_ADAPTER_GENERIC, HF_HANDOFF_LISTEN_FDS},
        {"", HF_ADAPTER_GENERIC, HF_HANDOFF_LISTEN_FDS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_SETTINGS HfSettings settings;
        hf_settings_init(&settings);
        assert_int_equal(hf_strv_append(&settings.command, rows[i].program), 0);
        assert_int_equal(hf_settings_adapter(&settings), rows[i].adapter);
        assert_int_equal(hf_settings_handoff(&settings), rows[i].handoff);
    }
}

static void no_command_is_generic(void **state)
{
    (void)state;
    HfSettings settings;
    hf_settings_init(&settings);
    assert_int_equal(hf_settings_adapter(&settings), HF_ADAPTER_GENERIC);
    char *nothing[] = {NULL};
    settings.command = nothing;
    assert_int_equal(hf_settings_adapter(&settings), HF_ADAPTER_GENERIC);
}

static void explicit_choices_win(void **state)
{
    (void)state;
    HF_CLEANUP_SETTINGS HfSettings settings;
    hf_settings_init(&settings);
    assert_int_equal(hf_strv_append(&settings.command, "php-fpm8.2"), 0);
    settings.adapter = HF_ADAPTER_PHP_CGI;
    assert_int_equal(hf_settings_adapter(&settings), HF_ADAPTER_PHP_CGI);
    assert_int_equal(hf_settings_handoff(&settings), HF_HANDOFF_STDIN);
    settings.handoff = HF_HANDOFF_LISTEN_FDS;
    assert_int_equal(hf_settings_handoff(&settings), HF_HANDOFF_LISTEN_FDS);
    settings.adapter = HF_ADAPTER_GENERIC;
    assert_int_equal(hf_settings_adapter(&settings), HF_ADAPTER_GENERIC);
}

static void names(void **state)
{
    (void)state;
    static const char *const adapters[] = {"auto", "php-fpm", "php-cgi", "generic"};
    for (int i = 0; i < HF_ADAPTER_MAX_; i++) {
        assert_string_equal(hf_adapter_name((HfAdapter)i), adapters[i]);
        assert_int_equal(hf_adapter_value(adapters[i]), i);
    }
    static const char *const handoffs[] = {"auto", "listen-fds", "php-fpm", "stdin",
                                           "server-starter"};
    for (int i = 0; i < HF_HANDOFF_MAX_; i++) {
        assert_string_equal(hf_handoff_name((HfHandoff)i), handoffs[i]);
        assert_int_equal(hf_handoff_value(handoffs[i]), i);
    }
    assert_int_equal(hf_adapter_value("PHP-FPM"), -EINVAL);
    assert_int_equal(hf_handoff_value("server_starter"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(clear_frees_everything),
        cmocka_unit_test(spec_copy_is_deep),
        cmocka_unit_test(automatic_choices),
        cmocka_unit_test(no_command_is_generic),
        cmocka_unit_test(explicit_choices_win),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("core/settings", tests, NULL, NULL);
}
