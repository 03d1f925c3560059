/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "service/adapter.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static const char *const web[] = {"127.0.0.1:9000"};
static const char *const any[] = {":::9000", "0.0.0.0:9000"};
static const char *const path[] = {"/run/php/none/www"};

static void expect_environment(const HfPlacement *placement, const char *const *expected, size_t n)
{
    assert_int_equal(hf_strv_length(placement->environment), n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(placement->environment[i], expected[i]);
}

static void expect_sources(const HfPlacement *placement, const size_t *expected, size_t n)
{
    assert_int_equal(placement->n_sources, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(placement->sources[i], expected[i]);
}

static void listen_fds_in_order(void **state)
{
    (void)state;
    const HfHandoffListener listeners[] = {
        {.name = "web", .keys = any, .n_keys = 2}, {.name = "admin"}, {.name = NULL}, {.name = ""}};
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_listen_fds, listeners, 4, &placement), 0);
    expect_environment(&placement,
                       (const char *[]){"LISTEN_FDS=4", "LISTEN_FDNAMES=web:admin:unknown:unknown"},
                       2);
    expect_sources(&placement, (const size_t[]){0, 1, 2, 3}, 4);
    assert_true(placement.listen_pid);
    assert_false(placement.on_stdin);
}

static void server_starter_names_each_port(void **state)
{
    (void)state;
    const HfHandoffListener listeners[] = {{.name = "a", .keys = web, .n_keys = 1},
                                           {.keys = path, .n_keys = 1}};
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_server_starter, listeners, 2, &placement), 0);
    expect_environment(&placement,
                       (const char *[]){"SERVER_STARTER_PORT=127.0.0.1:9000=3;/run/php/none/www=4"},
                       1);
    expect_sources(&placement, (const size_t[]){0, 1}, 2);
    assert_false(placement.listen_pid);
}

static void server_starter_has_one_variable(void **state)
{
    (void)state;
    static char long_path[60 * 1024];
    const char *const keys[] = {long_path};
    const char *const semicolon[] = {"/a;b"};
    HfHandoffListener listeners[3] = {
        {.keys = keys, .n_keys = 1}, {.keys = keys, .n_keys = 1}, {.keys = keys, .n_keys = 1}};
    HfPlacement placement;
    memset(long_path, 'x', sizeof(long_path) - 1);
    assert_int_equal(hf_handoff_place(&hf_handoff_server_starter, listeners, 3, &placement),
                     -E2BIG);
    assert_int_equal(hf_handoff_place(&hf_handoff_server_starter, listeners, 2, &placement), 0);
    hf_placement_clear(&placement);
    listeners[1] = (HfHandoffListener){.name = "no key"};
    assert_int_equal(hf_handoff_place(&hf_handoff_server_starter, listeners, 2, &placement),
                     -EINVAL);
    listeners[1] = (HfHandoffListener){.keys = semicolon, .n_keys = 1};
    assert_int_equal(hf_handoff_place(&hf_handoff_server_starter, listeners, 2, &placement),
                     -EINVAL);
}

static void php_fpm_puts_second_keys_behind(void **state)
{
    (void)state;
    const HfHandoffListener listeners[] = {
        {.name = "a", .keys = any, .n_keys = 2},
        {.name = "b", .keys = web, .n_keys = 1},
        {.name = "c"},
        {.name = "d", .keys = any, .n_keys = 2},
        {.name = "e", .keys = path, .n_keys = 1},
    };
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_php_fpm, listeners, 5, &placement), 0);
    expect_environment(&placement,
                       (const char *[]){"LISTEN_FDS=5", "LISTEN_FDNAMES=a:b:c:d:e",
                                        "FPM_SOCKETS=:::9000=3,0.0.0.0:9000=8,127.0.0.1:9000=4,"
                                        ":::9000=6,0.0.0.0:9000=9,/run/php/none/www=7"},
                       3);
    expect_sources(&placement, (const size_t[]){0, 1, 2, 3, 4, 0, 3}, 7);
    assert_true(placement.listen_pid);
}

static void php_fpm_without_keys_has_no_variable(void **state)
{
    (void)state;
    const HfHandoffListener listener = {.name = "a"};
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_php_fpm, &listener, 1, &placement), 0);
    expect_environment(&placement, (const char *[]){"LISTEN_FDS=1", "LISTEN_FDNAMES=a"}, 2);
}

/* Reads FPM_SOCKETS* as php-fpm does, and checks that entry i is "key-i" on descriptor 3 + i. */
static size_t count_entries(const HfPlacement *placement, size_t *ret_variables)
{
    size_t n = 0, variables = 0;
    for (char **entry = placement->environment; *entry; entry++) {
        char name[64];
        if (variables == 0)
            strcpy(name, "FPM_SOCKETS=");
        else
            snprintf(name, sizeof(name), "FPM_SOCKETS_%zu=", variables);
        if (strncmp(*entry, name, strlen(name)) != 0)
            continue;
        variables++;
        assert_true(strlen(*entry) < 128 * 1024);
        size_t here = 0;
        for (char *p = strtok(*entry + strlen(name), ","); p; p = strtok(NULL, ",")) {
            char *equals = strrchr(p, '=');
            assert_non_null(equals);
            assert_int_equal(atoi(equals + 1), HF_HANDOFF_FIRST_FD + n);
            assert_int_equal(atoi(p + 1), n);
            n++;
            here++;
        }
        assert_true(here > 0 && here <= 128);
    }
    *ret_variables = variables;
    return n;
}

static void place_many(size_t n, size_t key_length, size_t expected_variables)
{
    HF_CLEANUP_FREE HfHandoffListener *listeners = hf_allocate(n, sizeof(*listeners));
    HF_CLEANUP_FREE const char **keys = hf_allocate(n, sizeof(*keys));
    HF_CLEANUP_FREE char *text = hf_allocate(n, key_length + 1);
    assert_true(listeners && keys && text);
    for (size_t i = 0; i < n; i++) {
        char *key = text + i * (key_length + 1);
        memset(key, 'k', key_length);
        int digits = snprintf(key, key_length, "/%zu", i);
        key[digits] = 'k';
        keys[i] = key;
        listeners[i] = (HfHandoffListener){.name = "x", .keys = &keys[i], .n_keys = 1};
    }
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_php_fpm, listeners, n, &placement), 0);
    assert_int_equal(hf_strv_length(placement.environment), 2 + expected_variables);
    size_t variables;
    assert_int_equal(count_entries(&placement, &variables), n);
    assert_int_equal(variables, expected_variables);
}

static void php_fpm_splits_after_128_entries(void **state)
{
    (void)state;
    place_many(127, 16, 1);
    place_many(128, 16, 1);
    place_many(129, 16, 2);
    place_many(256, 16, 2);
    place_many(257, 16, 3);
    place_many(HF_LISTENERS_MAX, 16, HF_LISTENERS_MAX / 128);
}

static void php_fpm_splits_before_a_string_is_too_long(void **state)
{
    (void)state;
    place_many(3, 60000, 2);
    place_many(2, 65536, 2);
    place_many(128, 2000, 2);
}

static void names_that_do_not_fit_are_left_out(void **state)
{
    (void)state;
    char name[65];
    memset(name, 'n', 64);
    name[64] = '\0';
    HF_CLEANUP_FREE HfHandoffListener *listeners =
        hf_allocate(HF_LISTENERS_MAX, sizeof(*listeners));
    assert_non_null(listeners);
    for (size_t i = 0; i < HF_LISTENERS_MAX; i++)
        listeners[i].name = name;
    HF_CLEANUP_PLACEMENT HfPlacement few = {0}, many = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_listen_fds, listeners, 2000, &few), 0);
    assert_int_equal(hf_strv_length(few.environment), 2);
    assert_int_equal(hf_handoff_place(&hf_handoff_listen_fds, listeners, HF_LISTENERS_MAX, &many),
                     0);
    expect_environment(&many, (const char *[]){"LISTEN_FDS=4096"}, 1);
    assert_int_equal(many.n_sources, HF_LISTENERS_MAX);
}

static void stdin_takes_one(void **state)
{
    (void)state;
    const HfHandoffListener listeners[] = {{.name = "a", .keys = any, .n_keys = 2}, {.name = "b"}};
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_stdin, listeners, 2, &placement), -E2BIG);
    assert_null(placement.environment);
    assert_int_equal(hf_handoff_place(&hf_handoff_stdin, listeners, 1, &placement), 0);
    assert_true(placement.on_stdin);
    assert_false(placement.listen_pid);
    assert_int_equal(placement.n_sources, 0);
    expect_environment(&placement, NULL, 0);
}

static void no_listeners_place_nothing(void **state)
{
    (void)state;
    for (size_t kind = 0; hf_handoffs[kind]; kind++) {
        HF_CLEANUP_PLACEMENT HfPlacement placement = {.listen_pid = true, .on_stdin = true};
        assert_int_equal(hf_handoff_place(hf_handoffs[kind], NULL, 0, &placement), 0);
        assert_non_null(placement.environment);
        expect_environment(&placement, NULL, 0);
        assert_int_equal(placement.n_sources, 0);
        assert_false(placement.listen_pid || placement.on_stdin);
    }
}

static void hostile_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a,b", "a=b", ",", "=", "a\nb", "a\x7f", "\x01"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        const char *const keys[] = {"good", bad[i]};
        const HfHandoffListener listeners[] = {{.name = "a", .keys = web, .n_keys = 1},
                                               {.name = "b", .keys = keys, .n_keys = 2}};
        HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
        assert_int_equal(hf_handoff_place(&hf_handoff_php_fpm, listeners, 2, &placement), -EINVAL);
        assert_null(placement.environment);
        assert_null(placement.sources);
    }
    static char huge[65538];
    memset(huge, 'k', sizeof(huge) - 1);
    const char *const keys[] = {huge};
    const HfHandoffListener listener = {.name = "a", .keys = keys, .n_keys = 1};
    HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
    assert_int_equal(hf_handoff_place(&hf_handoff_php_fpm, &listener, 1, &placement), -EINVAL);
}

static void hostile_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {":", "a:b", "a\n", "\x7f"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        const HfHandoffListener listener = {.name = bad[i]};
        HF_CLEANUP_PLACEMENT HfPlacement placement = {0};
        assert_int_equal(hf_handoff_place(&hf_handoff_listen_fds, &listener, 1, &placement),
                         -EINVAL);
    }
}

static void foreign_entries(void **state)
{
    (void)state;
    static const char *const foreign[] = {
        "LISTEN_FDS=2",      "LISTEN_PID=1",
        "LISTEN_FDNAMES=a",  "LISTEN_PIDFDID=7",
        "FPM_SOCKETS=a=3",   "FPM_SOCKETS_1=a=3",
        "NOTIFY_SOCKET=/x",  "WATCHDOG_PID=1",
        "WATCHDOG_USEC=1",   "MAINPID=1",
        "FDSTORE=1",         "SERVER_STARTER_PORT=80=3",
        "HOLDFAST_NAME=php", "SERVER_STARTER_STATUS=",
        "LISTEN_FDS=",       "LISTEN_FDS",
    };
    static const char *const own[] = {
        "",
        "=",
        "PATH=/bin",
        "LISTEN_ADDRESS=127.0.0.1:80",
        "LISTEN=1",
        "LISTEN_F=",
        "FPM_SOCKET=x",
        "NOTIFY_SOCKETS=1",
        "NOTIFY=1",
        "WATCHDOG=1",
        "WATCHDOG_PIDS=1",
        "MAINPIDS=1",
        "MAINPI=D=1",
        "FDSTORES=1",
        "HOLDFAST=1",
        "XLISTEN_FDS=2",
        "X=LISTEN_FDS=2",
        "listen_fds=2",
        "JOURNAL_STREAM=8:1",
    };
    for (size_t i = 0; i < LENGTH(foreign); i++)
        if (!hf_handoff_is_foreign(foreign[i]))
            fail_msg("not foreign: %s", foreign[i]);
    for (size_t i = 0; i < LENGTH(own); i++)
        if (hf_handoff_is_foreign(own[i]))
            fail_msg("foreign: %s", own[i]);
}

static HfPlanned planned_at(const char *address, const char *name)
{
    HfPlanned planned = {0};
    hf_listener_spec_init(&planned.spec);
    assert_int_equal(hf_address_parse(address, &planned.spec.address), 0);
    planned.spec.name = (char *)(uintptr_t)name;
    return planned;
}

static void each_plan_socket_gets_its_keys(void **state)
{
    (void)state;
    HfPlanned wanted[] = {
        planned_at("9000", "port"),
        planned_at("127.0.0.1:9001", "address"),
        planned_at("/run/a:b", "alias"),
        planned_at("localhost:9002", "host"),
        planned_at("localhost:9003", "resolved"),
    };
    wanted[2].alias = (char[]){"/none/a"};
    assert_int_equal(hf_address_parse("[::1]:9003", &wanted[4].bound), 0);
    assert_int_equal(hf_address_parse("0.0.0.0:9000", &wanted[0].bound), 0);
    HF_CLEANUP_TEXT HfText error = {0};
    HF_CLEANUP_PLACEMENT HfPlacement fpm = {0}, starter = {0}, plain = {0};
    assert_int_equal(hf_handoff_place_planned(&hf_handoff_php_fpm, wanted, 5, &fpm, &error), 0);
    assert_string_equal(fpm.environment[2],
                        "FPM_SOCKETS=:::9000=3,0.0.0.0:9000=8,127.0.0.1:9001=4,/none/a=5,"
                        "localhost:9002=6,::1:9003=7");
    assert_int_equal(
        hf_handoff_place_planned(&hf_handoff_server_starter, wanted, 5, &starter, &error), 0);
    assert_string_equal(starter.environment[0],
                        "SERVER_STARTER_PORT=9000=3;127.0.0.1:9001=4;/run/a:b=5;localhost:9002=6;"
                        "localhost:9003=7");
    assert_int_equal(hf_handoff_place_planned(&hf_handoff_listen_fds, wanted, 5, &plain, &error),
                     0);
    assert_string_equal(plain.environment[1], "LISTEN_FDNAMES=port:address:alias:host:resolved");
    assert_int_equal(error.length, 0);
}

static void what_cannot_be_handed_over_is_explained(void **state)
{
    (void)state;
    const HfPlanned wanted[] = {planned_at("/run/a,b", "a"), planned_at("9000", "b")};
    const HfHandoff silent = {.name = "silent", .most = 1, .on_stdin = true};
    HF_CLEANUP_TEXT HfText many = {0}, comma = {0}, one = {0};
    HfPlacement placement;
    assert_int_equal(hf_handoff_place_planned(&hf_handoff_stdin, wanted, 2, &placement, &many),
                     -E2BIG);
    assert_string_equal(hf_text_peek(&many), hf_handoff_stdin.too_many);
    assert_int_equal(hf_handoff_place_planned(&silent, wanted, 2, &placement, &one), -E2BIG);
    assert_string_equal(hf_text_peek(&one),
                        "the sockets cannot be handed over: Argument list too long");
    assert_int_equal(hf_handoff_place_planned(&hf_handoff_php_fpm, wanted, 2, &placement, &comma),
                     -EINVAL);
    assert_string_equal(hf_text_peek(&comma),
                        "the sockets cannot be handed over: Invalid argument");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listen_fds_in_order),
        cmocka_unit_test(php_fpm_puts_second_keys_behind),
        cmocka_unit_test(php_fpm_without_keys_has_no_variable),
        cmocka_unit_test(php_fpm_splits_after_128_entries),
        cmocka_unit_test(php_fpm_splits_before_a_string_is_too_long),
        cmocka_unit_test(names_that_do_not_fit_are_left_out),
        cmocka_unit_test(stdin_takes_one),
        cmocka_unit_test(server_starter_names_each_port),
        cmocka_unit_test(server_starter_has_one_variable),
        cmocka_unit_test(no_listeners_place_nothing),
        cmocka_unit_test(hostile_keys_are_refused),
        cmocka_unit_test(hostile_names_are_refused),
        cmocka_unit_test(foreign_entries),
        cmocka_unit_test(each_plan_socket_gets_its_keys),
        cmocka_unit_test(what_cannot_be_handed_over_is_explained),
    };
    return cmocka_run_group_tests_name("core/handoff", tests, NULL, NULL);
}
