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
#include "service/php_fpm/php_fpm.h"

#include "phpfpm_helpers.h"

#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

static void the_include_names_the_users_file(void **state)
{
    (void)state;
    static const struct {
        const char *configuration;
        const char *prefix;
        const char *directory;
        unsigned attempt;
        int result;
        const char *want;
    } rows[] = {
        {NULL, NULL, "/srv", 0, 0, "PHP_CONFIG_FILE_PATH \"/php-fpm.conf\""},
        {NULL, NULL, "/srv", 1, 0, "PHP_SYSCONFDIR \"/php-fpm.conf\""},
        {NULL, NULL, "/srv", 2, -ENOENT, NULL},
        {"/etc/a.conf", NULL, "/srv", 0, 0, "\"/etc/a.conf\""},
        {"/etc/a.conf", NULL, "/srv", 1, -ENOENT, NULL},
        {"a.conf", NULL, "/srv", 0, 0, "\"/srv/a.conf\""},
        {"a.conf", NULL, NULL, 0, 0, "\"/proc/self/cwd/a.conf\""},
        {"a.conf", "/pre", "/srv", 0, 0, "\"/srv/a.conf\""},
        {NULL, "/pre", "/srv", 0, 0, "\"/pre/etc/php-fpm.conf\""},
        {NULL, "pre", "/srv", 0, 0, "\"/srv/pre/etc/php-fpm.conf\""},
        {NULL, "pre", NULL, 0, 0, "\"/proc/self/cwd/pre/etc/php-fpm.conf\""},
        {NULL, "/pre", "/srv", 1, -ENOENT, NULL},
        {"/a\nb", NULL, NULL, 0, -EINVAL, NULL},
        {"/a\x7f", NULL, NULL, 0, -EINVAL, NULL},
        {"a", NULL, "/sr\x01v", 0, -EINVAL, NULL},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const HfPhpfpmArguments arguments = {
            .configuration = (char *)(uintptr_t)rows[i].configuration,
            .prefix = (char *)(uintptr_t)rows[i].prefix,
        };
        HF_CLEANUP_FREE char *got = NULL;
        int r = hf_phpfpm_include(&arguments, rows[i].directory, rows[i].attempt, &got);
        if (r != rows[i].result || (r == 0) != (got != NULL) ||
            (r == 0 && strcmp(got, rows[i].want) != 0))
            fail_msg("row %zu: %d, %s", i, r, got);
    }
}

/* Each of these was found by php-fpm 8.2 through what is written here. */
static void special_characters_survive_ini_and_glob(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *want;
    } rows[] = {
        {"/d [x]*?/c", "\"/d \\\\[x\\\\]\\\\*\\\\?/c\""},
        {"/d{a,b}~'(;#=%41&|!^", "\"/d{a,b}~'(;#=%41&|!^\""},
        {"/dq\"uote", "\"/dq\\\"uote\""},
        {"/b\\s", "\"/b\\\\\\\\s\""},
        {"/e\\", "\"/e\\\\\\\\\""},
        {"/e\\\"", "\"/e\\\\\\\\\\\"\""},
        {"/${HOME}", "\"/\\${HOME}\""},
        {"/\\${HOME}", "\"/\\\\\\\\\\${HOME}\""},
        {"/\xc3\xa9", "\"/\xc3\xa9\""},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        const HfPhpfpmArguments arguments = {.configuration = (char *)(uintptr_t)rows[i].path};
        HF_CLEANUP_FREE char *got = NULL;
        assert_int_equal(hf_phpfpm_include(&arguments, NULL, 0, &got), 0);
        assert_string_equal(got, rows[i].want);
    }
}

static void the_question_forces_what_the_dump_needs(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    hf_phpfpm_question("\"/a\"", &text);
    assert_string_equal(hf_text_peek(&text), "include = \"/a\"\n"
                                             "[global]\n"
                                             "log_level = notice\n"
                                             "error_log = /dev/null\n"
                                             "syslog.ident = PHP_PREFIX\n"
                                             "daemonize = no\n");
    hf_text_clear(&text);
    hf_phpfpm_question("PHP_SYSCONFDIR \"/php-fpm.conf\"", &text);
    assert_string_equal(hf_text_peek(&text),
                        "include = PHP_SYSCONFDIR \"/php-fpm.conf\"\n"
                        "[global]\n"
                        "log_level = notice\n"
                        "error_log = /dev/null\n"
                        "syslog.ident = PHP_PREFIX \":\" PHP_SYSCONFDIR \"/php-fpm.conf\"\n"
                        "daemonize = no\n");
}

static void the_overlay_overrides_after_the_include(void **state)
{
    (void)state;
    HF_CLEANUP_TEXT HfText text = {0};
    const HfPhpfpmOverride overrides[] = {
        {.pool = "www", .listen = "/run/holdfast/x/www"},
        {.pool = "untouched"},
        {.pool = "Api Pool", .listen = "/x/a b", .status_listen = "/x/s"},
        {.pool = "it's", .status_listen = "/x/s2"},
        {.pool = "a;\"$]", .listen = "/x/c;$d\\"},
        {.pool = "host", .listen = "[::1]:9000", .status_listen = "127.0.0.1:9001"},
        {.pool = "port", .listen = "9000"},
        {.pool = "probed", .status_listen = "/x/s3", .status_path = "/st", .ping_path = "/ping"},
        {.pool = "pings", .ping_path = "/ping"},
        {.pool = "ours", .status_listen = "/x/s4", .mode = "0600", .owner = 0, .group = 33},
        {.pool = "front", .allowed_clients = "127.0.0.1, ::1"},
    };
    const HfPhpfpmOverlay overlay = {
        .include = "PHP_SYSCONFDIR \"/php-fpm.conf\"",
        .pid_file = "/run/holdfast/x/gen-7.pid",
        .drain_timeout = 30 * HF_USEC_PER_SEC,
        .systemd_interval = true,
        .overrides = overrides,
        .n_overrides = LENGTH(overrides),
    };
    assert_int_equal(hf_phpfpm_overlay(&overlay, &text), 0);
    assert_string_equal(hf_text_peek(&text), "include = PHP_SYSCONFDIR \"/php-fpm.conf\"\n"
                                             "[www]\n"
                                             "listen = /run/holdfast/x/www\n"
                                             "['Api Pool']\n"
                                             "listen = '/x/a b'\n"
                                             "pm.status_listen = /x/s\n"
                                             "[\"it's\"]\n"
                                             "pm.status_listen = /x/s2\n"
                                             "['a;\"$]']\n"
                                             "listen = '/x/c;$d\\'\n"
                                             "[host]\n"
                                             "listen = '[::1]:9000'\n"
                                             "pm.status_listen = '127.0.0.1:9001'\n"
                                             "[port]\n"
                                             "listen = 9000\n"
                                             "[probed]\n"
                                             "pm.status_listen = /x/s3\n"
                                             "pm.status_path = /st\n"
                                             "ping.path = /ping\n"
                                             "[pings]\n"
                                             "ping.path = /ping\n"
                                             "[ours]\n"
                                             "pm.status_listen = /x/s4\n"
                                             "listen.owner = 0\n"
                                             "listen.group = 33\n"
                                             "listen.mode = 0600\n"
                                             "[front]\n"
                                             "listen.allowed_clients = '127.0.0.1, "
                                             "::1,127.0.0.2'\n"
                                             "[global]\n"
                                             "daemonize = no\n"
                                             "process_control_timeout = 30s\n"
                                             "pid = /run/holdfast/x/gen-7.pid\n"
                                             "systemd_interval = 0\n");
}

static void the_timeout_is_whole_seconds(void **state)
{
    (void)state;
    static const struct {
        uint64_t usec;
        const char *want;
    } rows[] = {
        {0, "process_control_timeout = 1s\n"},
        {1, "process_control_timeout = 1s\n"},
        {HF_USEC_PER_SEC, "process_control_timeout = 1s\n"},
        {HF_USEC_PER_SEC + 1, "process_control_timeout = 2s\n"},
        {HF_USEC_MAX, "process_control_timeout = 2147483s\n"},
        {HF_USEC_INFINITY, "process_control_timeout = 2147483s\n"},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        const HfPhpfpmOverlay overlay = {
            .include = "x", .pid_file = "/p", .drain_timeout = rows[i].usec};
        assert_int_equal(hf_phpfpm_overlay(&overlay, &text), 0);
        assert_non_null(strstr(hf_text_peek(&text), rows[i].want));
        assert_null(strstr(hf_text_peek(&text), "systemd_interval"));
    }
}

static void what_an_ini_file_cannot_carry_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pid_file;
        HfPhpfpmOverride override;
    } rows[] = {
        {"", {.pool = "w"}},
        {"p.pid", {.pool = "w"}},
        {"/p\nlisten = 1", {.pool = "w"}},
        {"/p$pool", {.pool = "w"}},
        {"/p", {.pool = "", .listen = "/a"}},
        {"/p", {.pool = "w]\n[x", .listen = "/a"}},
        {"/p", {.pool = "'\"", .listen = "/a"}},
        {"/p", {.pool = "'$", .listen = "/a"}},
        {"/p", {.pool = "'\\", .listen = "/a"}},
        {"/p", {.pool = "w", .listen = "localhost:9000"}},
        {"/p", {.pool = "w", .listen = ""}},
        {"/p", {.pool = "w", .listen = "/a\n"}},
        {"/p", {.pool = "w", .listen = "/$pool"}},
        {"/p", {.pool = "w", .status_listen = "/a\x1f"}},
        {"/p", {.pool = "w", .status_listen = "/a'\""}},
        {"/p", {.pool = "w", .status_path = "status"}},
        {"/p", {.pool = "w", .status_path = "/a\nlisten = 9000"}},
        {"/p", {.pool = "w", .ping_path = "/$pool"}},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        const HfPhpfpmOverlay overlay = {.include = "x",
                                         .pid_file = rows[i].pid_file,
                                         .overrides = &rows[i].override,
                                         .n_overrides = 1};
        hf_text_add(&text, "before");
        int r = hf_phpfpm_overlay(&overlay, &text);
        if (r != -EINVAL || strcmp(hf_text_peek(&text), "before") != 0)
            fail_msg("row %zu: %d, %s", i, r, hf_text_peek(&text));
    }
}

#define NOTICE "[24-Nov-2026 00:08:26] NOTICE: "

static void a_dump_is_restated(void **state)
{
    (void)state;
    static const char dump[] =
        "\tlisten = too early\n" NOTICE "[too-early]\n" NOTICE "\tpm = static\n" NOTICE
        "[global]\n" NOTICE "\tpid = /x\n" NOTICE "\terror_log = /dev/null\n" NOTICE
        "\tlog_level = unknown value\n" NOTICE "\tprocess.max = 0\n" NOTICE " \n" NOTICE
        "[w w]\n" NOTICE "\tlisten = /a b\n" NOTICE "\tlisten.owner = undefined\n" NOTICE
        "\tchroot = \n" NOTICE "\trequest_slowlog_trace_depth = 20\n" NOTICE "\tno value\n" NOTICE
        "\tpid = a pool's\n" NOTICE "[not a section\n" NOTICE "x\n"
        "[24-Nov-2026 00:08:26] WARNING: [x]\n" NOTICE "[deep]\n" NOTICE
        "\trequest_slowlog_trace_depth = 30\n" NOTICE "done\n";
    HF_CLEANUP_TEXT HfText text = {0};
    assert_int_equal(hf_phpfpm_restate(dump, sizeof(dump) - 1, &text), 0);
    assert_string_equal(hf_text_peek(&text), "[global]\nerror_log = syslog\nprocess.max = 0\n"
                                             "['w w']\nlisten = '/a b'\npid = \"a pool's\"\n"
                                             "[deep]\nrequest_slowlog_trace_depth = 30\n");
    const HfPhpfpmOverlay overlay = {
        .include = "x", .restated = "[global]\n", .sections = "[ours]\nlisten = /x\n"};
    HF_CLEANUP_TEXT HfText whole = {0};
    assert_int_equal(hf_phpfpm_overlay(&overlay, &whole), 0);
    assert_ptr_equal(strstr(hf_text_peek(&whole), "[global]\n[ours]\nlisten = /x\n[global]\n"),
                     hf_text_peek(&whole));
}

static void what_cannot_be_restated(void **state)
{
    (void)state;
    static const char *const refused[] = {"\tenv[a] = '\"\n", "\tchdir = /a\x1f\n", "['\"]\n"};
    HF_CLEANUP_TEXT HfText text = {0};
    for (size_t i = 0; i < LENGTH(refused); i++) {
        HF_CLEANUP_TEXT HfText dump = {0};
        hf_text_addf(&dump, NOTICE "[global]\n" NOTICE "[w]\n" NOTICE "%s", refused[i]);
        assert_int_equal(hf_phpfpm_restate(dump.data, dump.length, &text), -EINVAL);
    }
    HF_CLEANUP_TEXT HfText cut = read_fixture("cut.txt");
    assert_int_equal(hf_phpfpm_restate(cut.data, cut.length, &text), -EINVAL);
    HF_CLEANUP_TEXT HfText shortened = {0};
    hf_text_addf(&shortened, NOTICE "[global]\n" NOTICE "\tx = %0600d...\n", 0);
    assert_int_equal(hf_phpfpm_restate(shortened.data, shortened.length, &text), -EINVAL);
    HF_CLEANUP_TEXT HfText huge = {0};
    hf_text_add(&huge, NOTICE "[global]\n");
    for (int i = 0; i < 40000; i++)
        hf_text_add(&huge, NOTICE "\tprocess.max = 1234567890123456\n");
    assert_int_equal(hf_phpfpm_restate(huge.data, huge.length, &text), -E2BIG);
    assert_int_equal(text.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_include_names_the_users_file),
        cmocka_unit_test(special_characters_survive_ini_and_glob),
        cmocka_unit_test(the_question_forces_what_the_dump_needs),
        cmocka_unit_test(the_overlay_overrides_after_the_include),
        cmocka_unit_test(the_timeout_is_whole_seconds),
        cmocka_unit_test(what_an_ini_file_cannot_carry_is_refused),
        cmocka_unit_test(a_dump_is_restated),
        cmocka_unit_test(what_cannot_be_restated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
