/* SPDX-License-Identifier: MIT */
/* Configuration files, and the difference of two settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/option.h"
#include "config/options.h"

/* words: of the command line, split at '|'. */
static int parse(const char *words, const char *text, size_t length, HfCommandLine *ret,
                 HfText *error)
{
    const HfOptionsFile file = {.path = "/etc/x.conf", .text = text, .length = length};
    HF_CLEANUP_STRV char **argv = NULL;
    HF_CLEANUP_FREE char *copy = strdup(words);
    char *rest = copy;

    while (rest)
        assert_int_equal(hf_strv_append(&argv, strsep(&rest, "|")), 0);
    int r = hf_options_parse_with_file((int)hf_strv_length(argv), argv, &file, ret, error);
    if (r == 0)
        ret->argv = NULL;
    return r;
}

static HfCommandLine parse_good(const char *words, const char *text)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    if (parse(words, text, strlen(text), &line, &error) < 0)
        fail_msg("%s: %s", text, hf_text_peek(&error));
    assert_string_equal(hf_text_peek(&error), "");
    return line;
}

static const struct {
    const char *words;
    const char *text;
    const char *error;
} refused[] = {
    {"holdfast|run|x", "drain-timout = 5s\n",
     "/etc/x.conf:1: unknown option \"drain-timout\"; did you mean drain-timeout?"},
    {"holdfast|run|x", "\n# a\nquux=1\n",
     "/etc/x.conf:3: unknown option \"quux\"; see holdfast.conf(5)"},
    {"holdfast|run|x", "--listen=9000\n",
     "/etc/x.conf:1: unknown option \"--listen\"; did you mean listen?"},
    {"holdfast|run|x", "drain-timeout=x\n",
     "/etc/x.conf:1: drain-timeout: \"x\" is not a time; write 30s, 1min or 500ms"},
    {"holdfast|run|x", "drain-timeout\n",
     "/etc/x.conf:1: drain-timeout needs a value; write drain-timeout=TIME"},
    {"holdfast|run|x", "handover\n",
     "/etc/x.conf:1: handover needs a value; write handover=auto|switch|gentle|at-once"},
    {"holdfast|run|x", "no-new-privileges=1\n",
     "/etc/x.conf:1: no-new-privileges takes no value; write just no-new-privileges"},
    {"holdfast|run|x", "config=/etc/y.conf\n",
     "/etc/x.conf:1: config can only stand on the command line"},
    {"holdfast|run|x", "help\n", "/etc/x.conf:1: help can only stand on the command line"},
    {"holdfast|run|x", "no-wait\n",
     "/etc/x.conf:1: no-wait belongs to reload, restart, rollback, stop and upgrade, not to run"},
    {"holdfast|exec|x", "max-drainin=1\n",
     "/etc/x.conf:1: unknown option \"max-drainin\"; see holdfast.conf(5)"},
    {"holdfast|exec|x", "max-draining=1\n",
     "/etc/x.conf:1: max-draining belongs to run and check, not to exec"},
    {"holdfast|run|x", "=x\n", "/etc/x.conf:1: unknown option \"\"; see holdfast.conf(5)"},
    {"holdfast|run|x", "listen=80\nlisten=80",
     "/etc/x.conf: --listen: \"80\" is given twice; drop one"},
    {"holdfast|run", "listen=80",
     "/etc/x.conf: no COMMAND; write it as command=COMMAND, or behind "
     "the options"},
    {"holdfast|run", "command=", "/etc/x.conf:1: command: COMMAND is empty"},
    {"holdfast|run", "command='' x", "/etc/x.conf:1: command: COMMAND is empty"},
    {"holdfast|run", "command=a 'b",
     "/etc/x.conf:1: command: a quote is not closed, or nothing "
     "follows the last backslash: \"a 'b\""},
    {"holdfast|run|x", "environment=1A=b",
     "/etc/x.conf:1: environment: \"1A=b\" is not NAME=VALUE; NAME is of A-Z, a-z, 0-9 and '_', "
     "and "
     "does not start with a digit"},
    {"holdfast|run|x", "environment=LISTEN_FDS=3",
     "/etc/x.conf:1: environment: LISTEN_FDS is set by holdfast itself; leave it out"},
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        HfCommandLine line;

        int r = parse(refused[i].words, refused[i].text, strlen(refused[i].text), &line, &error);
        assert_int_equal(r, -EINVAL);
        assert_string_equal(hf_text_peek(&error), refused[i].error);
    }
}

static void refuses_what_is_no_text(void **state)
{
    static char large[HF_OPTIONS_FILE_MAX + 1];
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    (void)state;
    assert_int_equal(parse("holdfast|run|x", "listen\0=80", 10, &line, &error), -EINVAL);
    assert_string_equal(hf_text_peek(&error),
                        "/etc/x.conf:1: there is a NUL in the line; is it a text file?");
    memset(large, '#', sizeof(large));
    hf_text_clear(&error);
    assert_int_equal(parse("holdfast|run|x", large, HF_OPTIONS_FILE_LINE_MAX + 1, &line, &error),
                     -EINVAL);
    assert_string_equal(hf_text_peek(&error),
                        "/etc/x.conf:1: the line is too long; it may have 16384 bytes");
    hf_text_clear(&error);
    assert_int_equal(parse("holdfast|run|x", large, sizeof(large), &line, &error), -EINVAL);
    assert_string_equal(hf_text_peek(&error),
                        "/etc/x.conf: the file is too large; it may have 1024 KiB");
    line = (HfCommandLine){0};
    assert_int_equal(parse("holdfast|run|x", large, HF_OPTIONS_FILE_LINE_MAX, &line, &error), 0);
    hf_command_line_clear(&line);
}

static void takes_each_kind_of_line(void **state)
{
    (void)state;
    HfCommandLine line = parse_good("holdfast|run", "# comment\r\n"
                                                    "\t; another\n"
                                                    "\n"
                                                    "  drain-timeout\t=  1min \r\n"
                                                    "no-new-privileges\n"
                                                    "listen=127.0.0.1:80,name=a\n"
                                                    "listen = @x\n"
                                                    "environment=A=b # c\n"
                                                    "environment=A==\n"
                                                    "environment=B=\n"
                                                    "command = ./server --path 'a b'");
    assert_true(line.settings.drain_timeout == 60 * HF_USEC_PER_SEC);
    assert_true(line.settings.no_new_privileges);
    assert_int_equal(line.settings.n_listeners, 2);
    assert_int_equal(hf_strv_length(line.settings.environment), 2);
    assert_string_equal(line.settings.environment[0], "A==");
    assert_string_equal(line.settings.environment[1], "B=");
    assert_int_equal(hf_strv_length(line.settings.command), 3);
    assert_string_equal(line.settings.command[2], "a b");
    hf_command_line_clear(&line);
}

static void the_command_line_wins(void **state)
{
    (void)state;
    HfCommandLine line =
        parse_good("holdfast|run|--drain-timeout=2s|--config=/etc/x.conf|--listen=81|"
                   "--environment=A=2|y|z",
                   "drain-timeout=1s\nlisten=80\ncommand=x\nenvironment=A=1\nenvironment=B=1\n");
    assert_true(line.settings.drain_timeout == 2 * HF_USEC_PER_SEC);
    assert_int_equal(line.settings.n_listeners, 2);
    assert_int_equal(line.settings.listeners[0].address.port, 80);
    assert_int_equal(line.settings.listeners[1].address.port, 81);
    assert_string_equal(line.settings.environment[0], "A=2");
    assert_string_equal(line.settings.environment[1], "B=1");
    assert_int_equal(hf_strv_length(line.settings.command), 2);
    assert_string_equal(line.settings.command[0], "y");
    hf_command_line_clear(&line);
}

/* Each row of the table can be compared: a wrong one would tell nothing at a reload. */
static void every_option_can_be_compared(void **state)
{
    (void)state;
    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOptionType *type = hf_option_table[i].type;
        if (hf_option_table[i].in_file && !type->equal && !type->choice && !type->no_value)
            fail_msg("%s has a type without equal", hf_option_table[i].name);
    }
}

static const struct {
    const char *a;
    const char *b;
    const char *names; /* with the fixed ones behind a '+' */
} differences[] = {
    {"", "", "+"},
    {"drain-timeout=1min", "drain-timeout=60s", "+"},
    {"drain-timeout=1min\nlisten=80", "listen=81", "listen drain-timeout +"},
    {"listen=80\nlisten=81", "listen=80", "listen +"},
    {"listen=none", "", "listen +"},
    {"listen=none", "listen=none", "+"},
    {"stop-signal=SIGTERM", "stop-signal=15", "+"},
    {"stop-signal=WINCH", "stop-signal=auto", "stop-signal +"},
    {"stdin=inherit\nwatchdog=3s", "stdin=null\nwatchdog=never", "stdin watchdog +"},
    {"listen=80", "listen=80,backlog=3", "listen +"},
    {"listen=80", "listen=80,name=a", "listen +"},
    {"listen=80,name=b", "listen=80,name=a", "listen +"},
    {"listen=80,name=a", "listen=80", "listen +"},
    {"listen=/a,owner=a,group=a,mode=0600", "listen=/a,owner=a,group=a,mode=0600", "+"},
    {"listen=/a,owner=a,group=a", "listen=/a,owner=b,group=a", "listen +"},
    {"listen=/a,owner=a,group=a", "listen=/a,owner=a,group=b", "listen +"},
    {"listen=/a,mode=0600", "listen=/a,mode=0660", "listen +"},
    {"environment=A=1", "environment=A=2", "environment +"},
    {"environment=A=1", "", "environment +"},
    {"environment=A=1\nenvironment=B=1", "environment=A=1", "environment +"},
    {"environment=A=1", "environment=A=1\nenvironment=B=1", "environment +"},
    {"ready=delay:1s", "ready=delay:2s", "ready +"},
    {"ready=log:a", "ready=log:a", "+"},
    {"ready=log:a", "ready=log:b", "ready +"},
    {"ready=log:a", "ready=notify", "ready +"},
    {"ready=auto", "ready=log:a", "ready +"},
    {"probe=exec:a", "probe=exec:a", "+"},
    {"probe=exec:a", "probe=exec:b", "probe +"},
    {"probe=exec:a", "probe=fastcgi:/a\nhandoff=stdin\nlisten=80", "listen handoff probe +"},
    {"handover=at-once", "", "handover +"},
    {"no-new-privileges", "", "no-new-privileges +"},
    {"capabilities=none", "", "capabilities +"},
    {"user=a", "", "user +"},
    {"max-draining=1", "", "max-draining +"},
    {"preflight=true", "preflight=false", "preflight +"},
    {"listen=[::]:1", "listen=[::]:1,ipv6-only=yes", "listen +"},
    {"listen=1,interface=a", "listen=1,interface=b", "listen +"},
    {"listen=1", "listen=1,no-delay=yes", "listen +"},
    {"listen=1,no-delay=no", "listen=1,no-delay=yes", "listen +"},
    {"listen=1,no-delay=yes", "listen=1,no-delay=yes", "+"},
    {"command=a b", "command=a", "command +"},
    {"name=a", "name=b", "+name"},
};

static void add_names(const HfSettings *a, const HfSettings *b, bool fixed, HfText *text)
{
    const char *names[HF_OPTIONS_MAX];
    size_t n = hf_options_difference(a, b, fixed, names);

    for (size_t i = 0; i < n; i++)
        hf_text_addf(text, "%s%s", names[i], fixed ? "" : " ");
}

static void tells_the_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(differences) / sizeof(*differences); i++) {
        bool command = strncmp(differences[i].a, "command", 7) == 0;
        const char *words = command ? "holdfast|run" : "holdfast|run|x";
        HF_CLEANUP_TEXT HfText text = {0};
        HfCommandLine a = parse_good(words, differences[i].a);
        HfCommandLine b = parse_good(words, differences[i].b);

        add_names(&a.settings, &b.settings, false, &text);
        hf_text_add(&text, "+");
        add_names(&a.settings, &b.settings, true, &text);
        assert_string_equal(hf_text_peek(&text), differences[i].names);
        hf_command_line_clear(&a);
        hf_command_line_clear(&b);
    }
}

/* What only a pool of php-fpm can have. */
static void access_lists_are_compared(void **state)
{
    HfCommandLine a = parse_good("holdfast|run|x", "listen=/a");
    HfCommandLine b = parse_good("holdfast|run|x", "listen=/a");
    const char *names[HF_OPTIONS_MAX];

    (void)state;
    assert_int_equal(hf_string_set(&a.settings.listeners[0].acl_users, "a"), 0);
    assert_int_equal(hf_options_difference(&a.settings, &b.settings, false, names), 1);
    assert_int_equal(hf_string_set(&b.settings.listeners[0].acl_users, "a"), 0);
    assert_int_equal(hf_options_difference(&a.settings, &b.settings, false, names), 0);
    assert_int_equal(hf_string_set(&b.settings.listeners[0].acl_groups, "a"), 0);
    assert_int_equal(hf_options_difference(&a.settings, &b.settings, false, names), 1);
    hf_command_line_clear(&a);
    hf_command_line_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_what_is_no_text),
        cmocka_unit_test(takes_each_kind_of_line),
        cmocka_unit_test(the_command_line_wins),
        cmocka_unit_test(every_option_can_be_compared),
        cmocka_unit_test(tells_the_difference),
        cmocka_unit_test(access_lists_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
