/* SPDX-License-Identifier: MIT */
/* Whichever allocation fails: what needed it says so, keeps its outputs, and leaks nothing.
 * Settings and snapshots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/memory.h"
#include "config/options.h"
#include "format/words.h"
#include "parts/survive/survive_parts.h"

#include "allocation_helpers.h"

static int result_of(const HfText *text)
{
    return text->failed ? -ENOMEM : 0;
}

/* ---- options ---- */

static int parse_line(void *words)
{
    char **argv = words;
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    int r = hf_options_parse((int)hf_strv_length(argv), argv, &line, &error);
    if (r < 0)
        return error.failed ? -ENOMEM : r;
    hf_command_line_clear(&line);
    return 0;
}

static int parse_refused_line(void *words)
{
    char **argv = words;
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    int r = hf_options_parse((int)hf_strv_length(argv), argv, &line, &error);
    return r == -EINVAL ? result_of(&error) : r;
}

static void command_lines(void **state)
{
    char *full[] = {
        (char[]){"holdfast"},
        (char[]){"run"},
        (char[]){"--config=/etc/x.conf"},
        (char[]){"--name=x"},
        (char[]){"--listen=/run/a,mode=0660,owner=a,group=b,name=c"},
        (char[]){"--listen=9000"},
        (char[]){"--environment=A=1"},
        (char[]){"--environment=A=2"},
        (char[]){"--directory=/srv"},
        (char[]){"--user=www"},
        (char[]){"--ready=log:ready"},
        (char[]){"--probe=exec:true"},
        (char[]){"--probe=tcp"},
        (char[]){"--canary=fastcgi:/up.php"},
        (char[]){"--canary-root=/srv"},
        (char[]){"--preflight=true"},
        (char[]){"--on-event=sh -c \"mail 'root'\""},
        (char[]){"--on-event=sh"},
        (char[]){"--"},
        (char[]){"server"},
        (char[]){"argument"},
        NULL,
    };
    char *phpfpm[] = {(char[]){"holdfast"}, (char[]){"run"},    (char[]){"php-fpm"},
                      (char[]){"-y"},       (char[]){"/x"},     (char[]){"-d"},
                      (char[]){"a=b"},      (char[]){"-p/srv"}, NULL};
    char *probe[] = {(char[]){"holdfast"}, (char[]){"probe"}, (char[]){"9000"},
                     (char[]){"--fastcgi=/ping"}, NULL};
    char *refused[] = {(char[]){"holdfast"}, (char[]){"run"}, (char[]){"--lisen"}, NULL};
    char *invalid[] = {(char[]){"holdfast"}, (char[]){"run"}, (char[]){"--probe-every=5s"},
                       (char[]){"x"}, NULL};

    (void)state;
    assert_true(fail_each_allocation(parse_line, full) > 20);
    assert_true(fail_each_allocation(parse_line, phpfpm) > 5);
    assert_true(fail_each_allocation(parse_line, probe) > 1);
    assert_true(fail_each_allocation(parse_refused_line, refused) > 0);
    assert_true(fail_each_allocation(parse_refused_line, invalid) > 0);
}

static int parse_file(void *text)
{
    const HfOptionsFile file = {.path = "/x", .text = text, .length = strlen(text)};
    char *argv[] = {(char[]){"holdfast"}, (char[]){"run"}, (char[]){"x"}, NULL};
    HF_CLEANUP_TEXT HfText error = {0};
    HfCommandLine line;

    int r = hf_options_parse_with_file(3, argv, &file, &line, &error);
    if (r == -EINVAL)
        return result_of(&error);
    if (r == 0)
        hf_command_line_clear(&line);
    return r;
}

static void configuration_files(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(parse_file, (char[]){"name=x\nlisten=9000\n"}) > 3);
    assert_true(fail_each_allocation(parse_file, (char[]){"name=X\n"}) > 0);
    assert_true(fail_each_allocation(parse_file, (char[]){"quux=1\n"}) > 0);
    assert_true(fail_each_allocation(parse_file, (char[]){"command=a b\n"}) > 3);
    assert_true(fail_each_allocation(parse_file, (char[]){"probe=tcp\n"}) > 0);
}

static int add_help(void *context)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_options_help(context, true, &text);
    return result_of(&text);
}

static void help(void **state)
{
    HfVerb verb = HF_VERB_RUN;

    (void)state;
    assert_true(fail_each_allocation(add_help, NULL) > 0);
    assert_true(fail_each_allocation(add_help, &verb) > 10);
}

static int copy_listener(void *spec)
{
    HfListenerSpec copy;
    int r = hf_listener_spec_copy(spec, &copy);

    if (r == 0)
        hf_listener_spec_clear(&copy);
    return r;
}

static void listener_copies(void **state)
{
    HfListenerSpec spec = {
        .name = (char[]){"a"},
        .owner = (char[]){"b"},
        .group = (char[]){"c"},
        .acl_users = (char[]){"d"},
        .acl_groups = (char[]){"e"},
    };

    (void)state;
    assert_int_equal(fail_each_allocation(copy_listener, &spec), 5);
}

static int split_words(void *text)
{
    HF_CLEANUP_STRV char **words = NULL;

    return hf_shell_words_split(text, &words);
}

static void words(void **state)
{
    (void)state;
    assert_true(fail_each_allocation(split_words, (char[]){"a 'b c' \"d\\\"\" e\\ f"}) > 6);
}

/* ---- snapshots ---- */

static HfText read_snapshot(HfSnapshot *ret)
{
    HfText text = {0};
    char buffer[4096];
    size_t n;
    FILE *file = fopen("fixtures/snapshot/0.1.0", "re");

    assert_non_null(file);
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        hf_text_add_bytes(&text, buffer, n);
    fclose(file);
    assert_int_equal(hf_snapshot_read(text.data, text.length, ret), 0);
    return text;
}

static int read_again(void *context)
{
    const HfText *text = context;
    HfSnapshot snapshot;
    int r = hf_snapshot_read(text->data, text->length, &snapshot);

    if (r == 0)
        hf_snapshot_clear(&snapshot);
    return r;
}

static int write_again(void *snapshot)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_snapshot_write(snapshot, &text);
    return result_of(&text);
}

static int add_to_snapshot(void *context)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    (void)context;
    hf_snapshot_init(&snapshot);
    return hf_snapshot_note(&snapshot, "hf-n", "text", -1);
}

/* A plan and its listeners, as they live. */
static int capture(void *plan)
{
    static const HfPart *const none[] = {NULL};
    static HfSupervisor supervisor = {.parts = none};
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;

    supervisor.current = plan;
    hf_snapshot_init(&snapshot);
    return hf_snapshot_capture(&supervisor, &snapshot);
}

static void snapshots_of_what_lives(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText text = read_snapshot(&snapshot);
    HfPlan *plan = snapshot.plans.items[0];

    (void)state;
    (void)text; // clang does not count its cleanup as a use
    for (size_t i = 0; i < 20; i++) {
        HfListener *listener = snapshot.listeners.items[0];
        assert_int_equal(hf_plan_want(plan, &listener->spec, NULL), 0);
        assert_int_equal(hf_plan_add_listener(plan, listener), 0);
    }
    assert_true(fail_each_allocation(capture, plan) > 20);
}

static void snapshots(void **state)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText text = read_snapshot(&snapshot);
    HF_CLEANUP_TEXT HfText today = {0};

    (void)state;
    assert_int_equal(fail_each_allocation(add_to_snapshot, NULL), 4);
    assert_true(fail_each_allocation(read_again, &text) > 20);
    assert_true(fail_each_allocation(write_again, &snapshot) > 20);
    hf_snapshot_write(&snapshot, &today);
    assert_true(fail_each_allocation(read_again, &today) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines),
        cmocka_unit_test(configuration_files),
        cmocka_unit_test(help),
        cmocka_unit_test(listener_copies),
        cmocka_unit_test(words),
        cmocka_unit_test(snapshots),
        cmocka_unit_test(snapshots_of_what_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
