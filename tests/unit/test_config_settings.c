/* SPDX-License-Identifier: MIT */
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
    assert_null(settings.adapter);
    assert_null(settings.handoff);
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
    assert_int_equal(hf_string_set(&settings.adapter, "a"), 0);
    assert_int_equal(hf_string_set(&settings.handoff, "h"), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(clear_frees_everything),
        cmocka_unit_test(spec_copy_is_deep),
    };
    return cmocka_run_group_tests_name("core/settings", tests, NULL, NULL);
}
