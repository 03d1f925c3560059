/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "phpfpm_helpers.h"
#include "service/php_fpm/php_fpm.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define D             "[24-Nov-2026 00:08:26] NOTICE: "
#define GLOBAL        D "[global]\n"
#define POOL          D "[www]\n" D "\tlisten = 9000\n" D "\tpm = static\n" D "\tpm.max_children = 2\n"

/* HfPhpfpmPool, as literals. */
typedef struct Want {
    const char *name, *listen, *status_listen;
    const char *status_path, *ping_path;
    int backlog;
    uint32_t mode;
    const char *owner, *group, *acl_users, *acl_groups, *manager;
    uint64_t max_children;
    const char *memory_limit;
} Want;

static int parse(const char *dump, HfPhpfpmConfig *ret)
{
    return hf_phpfpm_config_parse(dump, strlen(dump), ret);
}

static HfPhpfpmConfig parse_fixture(const char *name)
{
    HF_CLEANUP_TEXT HfText text = read_fixture(name);
    HfPhpfpmConfig config;

    assert_int_equal(hf_phpfpm_config_parse(text.data, text.length, &config), 0);
    return config;
}

static void assert_text(const char *got, const char *want)
{
    if (want)
        assert_non_null(got);
    if (got && want)
        assert_string_equal(got, want);
    else
        assert_ptr_equal(got, want);
}

static void assert_pool(const HfPhpfpmPool *got, const Want *want)
{
    assert_text(got->name, want->name);
    assert_text(got->listen, want->listen);
    assert_text(got->status_listen, want->status_listen);
    assert_text(got->status_path, want->status_path);
    assert_text(got->ping_path, want->ping_path);
    assert_int_equal(got->backlog, want->backlog);
    assert_int_equal(got->mode, want->mode);
    assert_text(got->owner, want->owner);
    assert_text(got->group, want->group);
    assert_text(got->acl_users, want->acl_users);
    assert_text(got->acl_groups, want->acl_groups);
    assert_text(got->manager, want->manager);
    assert_int_equal(got->max_children, want->max_children);
    assert_text(got->memory_limit, want->memory_limit);
}

static void who_may_connect_is_read(void **state)
{
    (void)state;
    HfPhpfpmConfig config;

    assert_int_equal(parse(GLOBAL POOL D "\tlisten.allowed_clients = 10.0.0.1, ::1\n" D
                                         "\tclear_env = no\n",
                           &config),
                     0);
    assert_string_equal(config.pools[0].allowed_clients, "10.0.0.1, ::1");
    assert_true(config.pools[0].shows_environment);
    hf_phpfpm_config_clear(&config);
    assert_int_equal(parse(GLOBAL POOL D "\tclear_env = yes\n", &config), 0);
    assert_null(config.pools[0].allowed_clients);
    assert_false(config.pools[0].shows_environment);
    hf_phpfpm_config_clear(&config);
    assert_int_equal(parse(GLOBAL POOL D "\tclear_env = perhaps\n", &config), -EBADMSG);
}

static void debian_default_is_read(void **state)
{
    (void)state;
    HfPhpfpmConfig config = parse_fixture("debian.txt");
    assert_int_equal(config.n_pools, 1);
    assert_pool(&config.pools[0], &(Want){.name = "www",
                                          .listen = "/run/php/php8.2-fpm.sock",
                                          .backlog = HF_BACKLOG_MAXIMUM,
                                          .mode = 0660,
                                          .owner = "www-data",
                                          .group = "www-data",
                                          .manager = "dynamic",
                                          .max_children = 5});
    assert_string_equal(config.pid_file, "/run/php/php8.2-fpm.pid");
    assert_string_equal(config.prefix, "/usr");
    assert_true(config.has_systemd_interval);
    assert_int_equal(config.process_control_timeout, 0);
    hf_phpfpm_config_clear(&config);
    assert_null(config.pools);
    assert_int_equal(config.n_pools, 0);
}

static void a_build_without_systemd_is_recognized(void **state)
{
    (void)state;
    HfPhpfpmConfig config = parse_fixture("without-systemd.txt");
    assert_int_equal(config.n_pools, 1);
    assert_false(config.has_systemd_interval);
    hf_phpfpm_config_clear(&config);
}

static void a_build_without_status_listen_is_recognized(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool has;
        const char *listen;
    } rows[] = {
        {"", false, NULL},
        {D "\tpm.status_listen = undefined\n", true, NULL},
        {D "\tpm.status_listen = \n", true, NULL},
        {D "\tpm.status_listen = 9001\n" D "\tping.path = /ping\n", true, "9001"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText dump = {0};
        HfPhpfpmConfig config;
        hf_text_addf(&dump, GLOBAL POOL "%s", rows[i].line);
        assert_int_equal(parse(hf_text_peek(&dump), &config), 0);
        assert_true(config.pools[0].has_status_listen == rows[i].has);
        assert_text(config.pools[0].status_listen, rows[i].listen);
        assert_text(config.pools[0].ping_path, i == 3 ? "/ping" : NULL);
        hf_phpfpm_config_clear(&config);
    }
}

/* Spaces, quotes, equal signs, sections and keys inside values, ACLs, $pool, prefix. */
static void many_pools_are_read(void **state)
{
    (void)state;
    static const Want want[] = {
        {.name = "www",
         .listen = "9000",
         .backlog = 511,
         .mode = 0660,
         .manager = "static",
         .max_children = 2,
         .memory_limit = "256M"},
        {.name = "Api Pool",
         .listen = "/srv/api/var/Api Pool.sock",
         .status_listen = "127.0.0.1:9001",
         .status_path = "/status",
         .backlog = HF_BACKLOG_MAXIMUM,
         .mode = 0666,
         .owner = "www-data",
         .group = "www-data",
         .acl_users = "root,www-data",
         .acl_groups = "adm",
         .manager = "ondemand",
         .max_children = 20,
         .memory_limit = "64M"},
        {.name = "v6",
         .listen = "[::1]:9002",
         .status_listen = "status.sock",
         .status_path = "/",
         .backlog = HF_BACKLOG_MAXIMUM,
         .mode = 0640,
         .manager = "dynamic",
         .max_children = 5,
         .memory_limit = "-1"},
        {.name = "host",
         .listen = "localhost:9003",
         .backlog = HF_BACKLOG_MAXIMUM,
         .mode = 0660,
         .manager = "static",
         .max_children = 1},
    };
    HfPhpfpmConfig config = parse_fixture("pools.txt");
    assert_int_equal(config.n_pools, LENGTH(want));
    for (size_t i = 0; i < LENGTH(want); i++)
        assert_pool(&config.pools[i], &want[i]);
    assert_string_equal(config.pid_file, "/run/php/my fpm.pid");
    assert_int_equal(config.process_control_timeout, 120 * HF_USEC_PER_SEC);
    hf_phpfpm_config_clear(&config);
}

static void lines_of_log_level_debug_are_read(void **state)
{
    (void)state;
    HfPhpfpmConfig config = parse_fixture("debug.txt");
    assert_int_equal(config.n_pools, 1);
    assert_pool(&config.pools[0], &(Want){.name = "www",
                                          .listen = "39000",
                                          .backlog = HF_BACKLOG_MAXIMUM,
                                          .mode = 0600,
                                          .manager = "ondemand",
                                          .max_children = 7});
    assert_null(config.pid_file);
    assert_null(config.prefix);
    hf_phpfpm_config_clear(&config);
}

static void a_value_that_php_fpm_has_cut_is_refused(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = read_fixture("cut.txt");
    HfPhpfpmConfig config;
    assert_non_null(strstr(text.data, ",user01..."));
    assert_int_equal(hf_phpfpm_config_parse(text.data, text.length, &config), -EBADMSG);
}

static void a_short_value_may_end_in_dots(void **state)
{
    (void)state;
    HfPhpfpmConfig config;
    assert_int_equal(parse(GLOBAL POOL D "\tlisten.owner = a...\n", &config), 0);
    assert_string_equal(config.pools[0].owner, "a...");
    hf_phpfpm_config_clear(&config);
}

static void odd_dumps_give_their_error(void **state)
{
    (void)state;
    static const struct {
        const char *dump;
        int result;
    } rows[] = {
        {"", -ENODATA},
        {"\n\n", -ENODATA},
        {GLOBAL, -ENODATA},
        {POOL, -ENODATA},
        {GLOBAL D "\tlisten = 9000\n", -ENODATA},
        {GLOBAL D "[]\n", -EBADMSG},
        {GLOBAL D "[www]\n", -EBADMSG},
        {GLOBAL D "[www]\n" POOL, -EBADMSG},
        {GLOBAL D "[www]\n" D "\tpm = static\n" D "\tpm.max_children = 2\n", -EBADMSG},
        {GLOBAL D "[www]\n" D "\tlisten = 9000\n" D "\tpm.max_children = 2\n", -EBADMSG},
        {GLOBAL D "[www]\n" D "\tlisten = 9000\n" D "\tpm = static\n", -EBADMSG},
        {GLOBAL D "[www]\n" D "\tpm.status_listen = 9000\n" D "\tpm = static\n" D
                  "\tpm.max_children = 2\n",
         -EBADMSG},
        {GLOBAL POOL D "\tpm.max_children = 2147483648\n", -EBADMSG},
        {GLOBAL POOL D "\tpm.max_children = -1\n", -EBADMSG},
        {GLOBAL POOL D "\tlisten.backlog = x\n", -EBADMSG},
        {GLOBAL POOL D "\tlisten.backlog = 99999999999\n", -EBADMSG},
        {GLOBAL POOL D "\tlisten.mode = 0x9\n", -EBADMSG},
        {GLOBAL POOL D "\tlisten.mode = 77777\n", -EBADMSG},
        {GLOBAL D "\tprocess_control_timeout = soon\n" POOL, -EBADMSG},
        {GLOBAL POOL D "\tlisten.owner = a\x1b[2Jb\n", -EBADMSG},
        {GLOBAL D "[a\tb]\n" D "\tlisten = 9000\n", -EBADMSG},
        {GLOBAL POOL D "\tslowlog = a\x1b[2Jb\n", 0},
        {GLOBAL POOL D "\tlisten.owner\n" D "\t\n" D "\t = \n" D "x\n" D "\n", 0},
        {"[x] NOTICE: [www]\n[24-Nov-2026 00:08:26 NOTICE: [www]\n[] NOTICE: [www]\n" GLOBAL POOL,
         0},
        {GLOBAL POOL "[24-Nov-2026 00:08:26] WARNING: [www2]\n", 0},
        {GLOBAL POOL "\tlisten = 1\n[www2]\n", 0},
        {GLOBAL POOL D "[pool www] 'user' directive is ignored\n", 0},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HfPhpfpmConfig config = {.n_pools = 77};
        int r = parse(rows[i].dump, &config);
        if (r != rows[i].result)
            fail_msg("row %zu: %d", i, r);
        if (r < 0) {
            assert_int_equal(config.n_pools, 77);
            continue;
        }
        assert_int_equal(config.n_pools, 1);
        assert_string_equal(config.pools[0].listen, "9000");
        hf_phpfpm_config_clear(&config);
    }
}

static void backlogs_are_normalized(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int backlog;
    } rows[] = {{"-1", HF_BACKLOG_MAXIMUM},
                {"-5", HF_BACKLOG_MAXIMUM},
                {"0", 1},
                {"1", 1},
                {"65535", 65535}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText dump = {0};
        HfPhpfpmConfig config;
        hf_text_addf(&dump, GLOBAL POOL D "\tlisten.backlog = %s\n", rows[i].value);
        assert_int_equal(parse(dump.data, &config), 0);
        assert_int_equal(config.pools[0].backlog, rows[i].backlog);
        hf_phpfpm_config_clear(&config);
    }
}

/* Every prefix of a real dump, as when php-fpm dies in the middle. */
static void a_torn_dump_never_overruns(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = read_fixture("pools.txt");
    for (size_t length = 0; length < text.length; length += 7) {
        HfPhpfpmConfig config;
        char *exact = malloc(length > 0 ? length : 1);
        assert_non_null(exact);
        memcpy(exact, text.data, length);
        int r = hf_phpfpm_config_parse(exact, length, &config);
        free(exact);
        assert_true(r == 0 || r == -ENODATA || r == -EBADMSG);
        if (r == 0)
            hf_phpfpm_config_clear(&config);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText dump = {0};
    HfPhpfpmConfig config;

    hf_text_add(&dump, GLOBAL);
    for (size_t i = 0; i < HF_LISTENERS_MAX; i++)
        hf_text_add(&dump, POOL);
    assert_int_equal(hf_phpfpm_config_parse(dump.data, dump.length, &config), 0);
    assert_int_equal(config.n_pools, HF_LISTENERS_MAX);
    hf_phpfpm_config_clear(&config);
    hf_text_add(&dump, POOL);
    assert_int_equal(hf_phpfpm_config_parse(dump.data, dump.length, &config), -E2BIG);
    assert_int_equal(hf_phpfpm_config_parse(dump.data, (size_t)HF_PHPFPM_DUMP_MAX + 1, &config),
                     -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_connect_is_read),
        cmocka_unit_test(debian_default_is_read),
        cmocka_unit_test(a_build_without_systemd_is_recognized),
        cmocka_unit_test(a_build_without_status_listen_is_recognized),
        cmocka_unit_test(many_pools_are_read),
        cmocka_unit_test(lines_of_log_level_debug_are_read),
        cmocka_unit_test(a_value_that_php_fpm_has_cut_is_refused),
        cmocka_unit_test(a_short_value_may_end_in_dots),
        cmocka_unit_test(odd_dumps_give_their_error),
        cmocka_unit_test(backlogs_are_normalized),
        cmocka_unit_test(a_torn_dump_never_overruns),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
