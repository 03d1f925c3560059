/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "format/notify.h"

static HfNotify parsed(const char *text)
{
    HfNotify notify;
    assert_int_equal(hf_notify_parse(text, strlen(text), &notify), 0);
    return notify;
}

static void one_message_of_everything(void **state)
{
    (void)state;
    HfNotify notify = parsed("READY=1\nRELOADING=1\nSTOPPING=1\nMAINPID=4711\n"
                             "EXTEND_TIMEOUT_USEC=5000000\nSTATUS=Ready to handle\n");
    assert_true(notify.ready && notify.reloading && notify.stopping);
    assert_true(notify.has_main_pid && notify.main_pid == 4711);
    assert_true(notify.has_extend_timeout && notify.extend_timeout == 5000000);
    assert_true(notify.has_status);
    assert_string_equal(notify.status, "Ready to handle");
}

static void a_watchdog_is_fed_or_pulled(void **state)
{
    static const struct {
        const char *text;
        bool alive, trouble;
    } rows[] = {
        {"WATCHDOG=1", true, false},
        {"WATCHDOG=trigger", false, true},
        {"WATCHDOG=triggers", false, false},
        {"WATCHDOG=TRIGGER", false, false},
        {"WATCHDOG=0", false, false},
        {"WATCHDOG=", false, false},
        {"WATCHDOG=1\nWATCHDOG=trigger", true, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfNotify notify = parsed(rows[i].text);
        assert_int_equal(notify.alive, rows[i].alive);
        assert_int_equal(notify.trouble, rows[i].trouble);
    }
}

static void nothing_is_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"",          "\n",        "\n\n\n",
                                        "BARRIER=1", "X_READY=1", "ready=1",
                                        "READY",     " READY=1",  "FDSTORE=1\nWATCHDOG=1",
                                        "=1",        "="};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        HfNotify notify = parsed(texts[i]);
        assert_false(notify.ready || notify.reloading || notify.stopping || notify.has_main_pid ||
                     notify.has_extend_timeout || notify.has_status);
    }
    HfNotify notify = {.ready = true};
    assert_int_equal(hf_notify_parse(NULL, 0, &notify), 0);
    assert_false(notify.ready);
}

static void malformed_flags_are_ignored(void **state)
{
    (void)state;
    static const char *const values[] = {"", "0", "2", "11", "yes", "1 ", " 1", "1\r"};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        char text[100] = "READY=";
        strcat(text, values[i]);
        strcat(text, "\nRELOADING=");
        strcat(text, values[i]);
        strcat(text, "\nSTOPPING=");
        strcat(text, values[i]);
        HfNotify notify = parsed(text);
        assert_false(notify.ready || notify.reloading || notify.stopping);
    }
}

static void main_pid_is_a_process_id(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t pid;
    } rows[] = {
        {"MAINPID=1", 1},
        {"MAINPID=2147483647", 2147483647},
        {"MAINPID=2147483648", 0},
        {"MAINPID=0", 0},
        {"MAINPID=-1", 0},
        {"MAINPID=", 0},
        {"MAINPID=12x", 0},
        {"MAINPID=18446744073709551617", 0},
        {"MAINPID=00000000000000000000000000000000000000000000000001", 0},
        {"MAINPID=5\nMAINPID=6", 6},
        {"MAINPID=5\nMAINPID=x", 5},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfNotify notify = parsed(rows[i].text);
        assert_int_equal(notify.has_main_pid, rows[i].pid > 0);
        assert_int_equal(notify.main_pid, rows[i].pid);
    }
}

static void timeouts_are_capped(void **state)
{
    (void)state;
    HfNotify notify = parsed("EXTEND_TIMEOUT_USEC=0");
    assert_true(notify.has_extend_timeout);
    assert_int_equal(notify.extend_timeout, 0);
    notify = parsed("EXTEND_TIMEOUT_USEC=18446744073709551615");
    assert_true(notify.extend_timeout == HF_USEC_MAX);
    notify = parsed("EXTEND_TIMEOUT_USEC=28446744073709551615");
    assert_true(notify.extend_timeout == HF_USEC_MAX);
    notify = parsed("EXTEND_TIMEOUT_USEC=1s\nEXTEND_TIMEOUT_USEC=-1");
    assert_false(notify.has_extend_timeout);
    notify = parsed("EXTEND_TIMEOUT_USEC=1\nEXTEND_TIMEOUT_USEC=2");
    assert_int_equal(notify.extend_timeout, 2);
}

static void status_is_made_printable(void **state)
{
    (void)state;
    assert_string_equal(parsed("STATUS=a\tb\x1b[1m\xff\xc3\xa9").status, "a?b?[1m?\xc3\xa9");
    assert_string_equal(parsed("STATUS=one\nSTATUS=two=2").status, "two=2");
    HfNotify notify = parsed("STATUS=one\nSTATUS=");
    assert_true(notify.has_status);
    assert_string_equal(notify.status, "");
}

static void status_is_cut_between_characters(void **state)
{
    (void)state;
    char text[HF_NOTIFY_MAX + 1] = "STATUS=x";
    for (size_t i = 0; i < 400; i++)
        strcat(text, "\xc3\xa9");
    HfNotify notify = parsed(text);
    assert_int_equal(strlen(notify.status), HF_NOTIFY_STATUS_MAX - 1);
    strcpy(text, "STATUS=");
    for (size_t i = 0; i < 400; i++)
        strcat(text, "\xc3\xa9");
    notify = parsed(text);
    assert_int_equal(strlen(notify.status), HF_NOTIFY_STATUS_MAX - 2);
    assert_memory_equal(notify.status + HF_NOTIFY_STATUS_MAX - 4, "\xc3\xa9", 3);
}

static void embedded_nul_is_refused(void **state)
{
    (void)state;
    HfNotify notify = {.main_pid = 7};
    assert_int_equal(hf_notify_parse("READY=1\0\nX=1", 12, &notify), -EBADMSG);
    assert_int_equal(hf_notify_parse("READY=1\0\0", 9, &notify), -EBADMSG);
    assert_int_equal(hf_notify_parse("\0\0", 2, &notify), -EBADMSG);
    assert_int_equal(notify.main_pid, 7);
    assert_int_equal(hf_notify_parse("READY=1\0", 8, &notify), 0);
    assert_true(notify.ready);
    assert_int_equal(hf_notify_parse("\0", 1, &notify), 0);
    assert_false(notify.ready);
}

static void length_is_bounded(void **state)
{
    (void)state;
    static char text[HF_NOTIFY_MAX + 1];
    memset(text, '\n', sizeof(text));
    memcpy(text + HF_NOTIFY_MAX - 7, "READY=1", 7);
    HfNotify notify = {.main_pid = 7};
    assert_int_equal(hf_notify_parse(text, HF_NOTIFY_MAX + 1, &notify), -EMSGSIZE);
    assert_int_equal(notify.main_pid, 7);
    assert_int_equal(hf_notify_parse(text, HF_NOTIFY_MAX, &notify), 0);
    assert_true(notify.ready);
    assert_int_equal(hf_notify_parse(text, HF_NOTIFY_MAX - 1, &notify), 0);
    assert_false(notify.ready);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_of_everything),
        cmocka_unit_test(a_watchdog_is_fed_or_pulled),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(malformed_flags_are_ignored),
        cmocka_unit_test(main_pid_is_a_process_id),
        cmocka_unit_test(timeouts_are_capped),
        cmocka_unit_test(status_is_made_printable),
        cmocka_unit_test(status_is_cut_between_characters),
        cmocka_unit_test(embedded_nul_is_refused),
        cmocka_unit_test(length_is_bounded),
    };
    return cmocka_run_group_tests_name("core/notify", tests, NULL, NULL);
}
