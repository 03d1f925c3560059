/* SPDX-License-Identifier: MIT */
/* What run says of what went wrong, and what it believes of what it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/owner.h"
#include "kernel/privilege.h"
#include "kernel/process.h"
#include "loop/resolved_listener.h"
#include "run/activated.h"
#include "run/generation.h"
#include "run/part.h"
#include "run/pid_file.h"
#include "run/supervisor.h"

static HfOwner owner; /* of any address */
static int owner_known;
static uint64_t privileges = UINT64_MAX;
static bool twin; /* any other process is a holdfast */

int __wrap_hf_owner_find_of(int type, const struct sockaddr_storage *address, unsigned length,
                            HfOwner *ret);
int __wrap_hf_owner_find_of(int type, const struct sockaddr_storage *address, unsigned length,
                            HfOwner *ret)
{
    (void)type;
    (void)address;
    (void)length;
    *ret = owner;
    return owner_known;
}

bool __wrap_hf_privilege_has(int capability);
bool __wrap_hf_privilege_has(int capability)
{
    return privileges >> capability & 1;
}

bool __wrap_hf_process_runs_ours(pid_t pid);
bool __wrap_hf_process_runs_ours(pid_t pid)
{
    (void)pid;
    return twin;
}

static const char *runtime_base; /* NULL: there is no memory for its name */

int __wrap_hf_name_of_runtime_base(char **ret);
int __wrap_hf_name_of_runtime_base(char **ret)
{
    *ret = runtime_base ? strdup(runtime_base) : NULL;
    return *ret ? 0 : -ENOMEM;
}

static void assert_says(HfText *text, const char *words)
{
    if (!strstr(hf_text_peek(text), words))
        fail_msg("\"%s\" is not in: %s", words, hf_text_peek(text));
    hf_text_clear(text);
}

/* ---- how a generation ended ---- */

static void every_end_has_words(void **state)
{
    (void)state;
    static const struct {
        siginfo_t status;
        HfOomVerdict oom;
        bool killed;
        int shell;
        const char *words;
    } rows[] = {
        {{.si_code = 0}, HF_OOM_NO, false, EXIT_FAILURE, "cannot be ended"},
        {{.si_code = 0, .si_pid = 1}, HF_OOM_NO, false, EXIT_FAILURE, "ended (only its parent"},
        {{.si_code = CLD_EXITED, .si_status = 3}, HF_OOM_NO, false, 3, "exited with status 3"},
        {{.si_code = CLD_KILLED, .si_status = SIGKILL},
         HF_OOM_NO,
         false,
         137,
         "was killed by signal 9 (SIGKILL), not by holdfast"},
        {{.si_code = CLD_KILLED, .si_status = SIGKILL}, HF_OOM_MACHINE, false, 137, "at work"},
        {{.si_code = CLD_KILLED, .si_status = SIGKILL},
         HF_OOM_GROUP,
         false,
         137,
         "not enough memory"},
        {{.si_code = CLD_KILLED, .si_status = SIGKILL}, HF_OOM_GROUP, true, 137, "(SIGKILL)"},
        {{.si_code = CLD_DUMPED, .si_status = SIGSEGV},
         HF_OOM_NO,
         false,
         139,
         "(SIGSEGV), core dumped"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfGeneration generation = {
            .status = rows[i].status, .oom_verdict = rows[i].oom, .killed = rows[i].killed};
        HfText text = {0};
        assert_int_equal(hf_generation_shell_status(&generation), rows[i].shell);
        hf_generation_explain_status(&generation, &text);
        assert_says(&text, rows[i].words);
    }
}

/* ---- why an address cannot be had ---- */

static void every_refusal_has_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        int error;
        HfSocketStage stage;
        const char *words;
    } rows[] = {
        {"127.0.0.1:80", -EADDRINUSE, HF_LISTENER_BIND,
         "by a process that cannot be seen from here"},
        {"/run/a", -ENOTSOCK, HF_LISTENER_PATH, "/run/a is a file, not a socket"},
        {"/run/a/b", -ENOENT, HF_LISTENER_BIND, "its directory does not exist; create it"},
        {"127.0.0.1:80", -ENOENT, HF_LISTENER_BIND, "it cannot be bound: No such file"},
        {"/run/a/b", -ENOENT, HF_LISTENER_OWNER, "its owner cannot be set"},
        {"192.0.2.1:80", -EADDRNOTAVAIL, HF_LISTENER_BIND, "does not have that address"},
        {"127.0.0.1:80", -EACCES, HF_LISTENER_BIND, "need CAP_NET_BIND_SERVICE"},
        {"127.0.0.1:80", -EACCES, HF_LISTENER_OPTION, "one of its options cannot be set"},
        {"/run/a", -EACCES, HF_LISTENER_BIND, "it cannot be bound: Permission denied"},
        {"/run/a", -EMFILE, HF_LISTENER_SOCKET, "no socket can be created for it"},
    };

    owner_known = -ENOENT;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfListenerSpec spec;
        HF_CLEANUP_RESOLVED HfResolvedListener target = {0};
        HfText error = {0};
        hf_listener_spec_init(&spec);
        assert_int_equal(hf_address_parse(rows[i].address, &spec.address), 0);
        assert_int_equal(hf_resolved_listener_find(&spec, &target, &error), 0);
        hf_resolved_listener_explain(&target, &spec, rows[i].error, rows[i].stage, &error);
        assert_says(&error, rows[i].words);
    }
}

static void whoever_has_an_address_is_named(void **state)
{
    (void)state;
    char base[] = "/tmp/holdfast-unit-XXXXXX";
    HfListenerSpec spec;
    HF_CLEANUP_RESOLVED HfResolvedListener target = {0};
    HfText error = {0};
    char path[128];

    owner_known = 0;
    hf_listener_spec_init(&spec);
    assert_int_equal(hf_address_parse("127.0.0.1:80", &spec.address), 0);
    assert_int_equal(hf_resolved_listener_find(&spec, &target, &error), 0);
    owner = (HfOwner){getpid(), "holdfast", 0};
    hf_resolved_listener_explain(&target, &spec, -EADDRINUSE, HF_LISTENER_BIND, &error);
    assert_says(&error, "that this instance holds already");
    owner = (HfOwner){1, "nginx", 61000000};
    assert_non_null(mkdtemp(base));
    runtime_base = base;
    static const struct {
        const char *name;
        const char *lock; /* NULL: has none */
    } others[] = {
        {".hidden", "1\n"}, {"empty", NULL}, {"odd", "x"}, {"other", "2\n"}, {"web", "1\n"}};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        snprintf(path, sizeof(path), "%s/%s", base, others[i].name);
        assert_int_equal(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/%s/lock", base, others[i].name);
        FILE *file = others[i].lock ? fopen(path, "w") : NULL;
        if (file) {
            fputs(others[i].lock, file);
            fclose(file);
        }
    }
    hf_resolved_listener_explain(&target, &spec, -EADDRINUSE, HF_LISTENER_BIND, &error);
    bool below = strstr(hf_text_peek(&error), "by nginx, instance web (pid 1") != NULL;
    hf_text_clear(&error);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        snprintf(path, sizeof(path), "%s/%s/lock", base, others[i].name);
        unlink(path);
        snprintf(path, sizeof(path), "%s/%s", base, others[i].name);
        rmdir(path);
    }
    rmdir(base);
    runtime_base = NULL;
    hf_resolved_listener_explain(&target, &spec, -EADDRINUSE, HF_LISTENER_BIND, &error);
    assert_says(&error, "by nginx (pid 1, since 1 minute); stop it");
    assert_true(below);
}

static void names_that_nobody_has(void **state)
{
    (void)state;
    static const struct {
        const char *owner;
        const char *group;
        const char *users;
        const char *groups;
        int want;
        const char *words;
    } rows[] = {
        {"root", "root", "root,root", "root", 0, ""},
        {"0", "0", "0", "0", 0, ""},
        {"nobody-here", NULL, NULL, NULL, -ENOENT, "no user \"nobody-here\" on this system"},
        {NULL, "nobody-here", NULL, NULL, -ENOENT, "no group \"nobody-here\""},
        {NULL, NULL, "root,nobody-here", NULL, -ENOENT, "no user \"nobody-here\""},
        {NULL, NULL, NULL, "nobody-here", -ENOENT, "no group \"nobody-here\""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfListenerSpec spec;
        HF_CLEANUP_RESOLVED HfResolvedListener target = {0};
        HfText error = {0};
        hf_listener_spec_init(&spec);
        spec.owner = (char *)(uintptr_t)rows[i].owner;
        spec.group = (char *)(uintptr_t)rows[i].group;
        spec.acl_users = (char *)(uintptr_t)rows[i].users;
        spec.acl_groups = (char *)(uintptr_t)rows[i].groups;
        assert_int_equal(hf_address_parse("/run/a", &spec.address), 0);
        assert_int_equal(hf_resolved_listener_find(&spec, &target, &error), rows[i].want);
        assert_says(&error, rows[i].words);
    }
}

static HfPlaces compare(const char *a, const char *b, bool ipv6_only)
{
    const char *const addresses[] = {a, b};
    HfResolvedListener targets[2] = {0};
    HfText error = {0};

    for (size_t i = 0; i < 2; i++) {
        HfListenerSpec spec;
        hf_listener_spec_init(&spec);
        spec.ipv6_only = ipv6_only;
        assert_int_equal(hf_address_parse_any(addresses[i], &spec.address), 0);
        assert_int_equal(hf_resolved_listener_find(&spec, &targets[i], &error), 0);
    }
    HfPlaces places = hf_resolved_listener_compare(&targets[0], &targets[1]);
    hf_resolved_listener_clear(&targets[0]);
    hf_resolved_listener_clear(&targets[1]);
    return places;
}

static void two_names_for_one_place(void **state)
{
    (void)state;
    assert_int_equal(compare("127.0.0.1:1", "127.0.0.1:1", false), HF_PLACES_SAME);
    assert_int_equal(compare("127.0.0.1:1", "127.0.0.1:2", false), HF_PLACES_APART);
    assert_int_equal(compare("127.0.0.1:1", "0.0.0.0:1", false), HF_PLACES_OVERLAP);
    assert_int_equal(compare("[::]:1", "0.0.0.0:1", false), HF_PLACES_OVERLAP);
    assert_int_equal(compare("[::]:1", "0.0.0.0:1", true), HF_PLACES_APART);
    assert_int_equal(compare("127.0.0.1:1", "udp:127.0.0.1:1", false), HF_PLACES_APART);
    assert_int_equal(compare("127.0.0.1:1", "/run/a", false), HF_PLACES_APART);
    assert_int_equal(compare("/run/a", "/var/run/a", false), HF_PLACES_SAME);
    assert_int_equal(compare("/run/a", "/run/b", false), HF_PLACES_APART);
    assert_int_equal(compare("@a", "/run/b", false), HF_PLACES_APART);
    assert_int_equal(compare("/run/b", "@a", false), HF_PLACES_APART);
}

static void a_host_or_interface_that_is_not_there(void **state)
{
    (void)state;
    HfListenerSpec spec;
    HF_CLEANUP_RESOLVED HfResolvedListener target = {0};
    HfText error = {0};

    hf_listener_spec_init(&spec);
    assert_int_equal(hf_address_parse("[fe80::1%nowhere0]:1", &spec.address), 0);
    assert_int_equal(hf_resolved_listener_find(&spec, &target, &error), -ENODEV);
    assert_says(&error, "no network interface nowhere0");
    assert_int_equal(hf_address_parse("[fe80::1%lo]:1", &spec.address), 0);
    assert_int_equal(hf_resolved_listener_find(&spec, &target, &error), 0);
    assert_int_equal(target.n, 1);
}

/* ---- what was passed ---- */

static void sockets_of_another_process(void **state)
{
    (void)state;
    char own[16];
    HfText text = {0};

    snprintf(own, sizeof(own), "%d", (int)getpid());
    unsetenv("LISTEN_PIDFDID");
    setenv("LISTEN_PID", "x", 1);
    unsetenv("LISTEN_FDS");
    assert_false(hf_activated_is_anothers(&text));
    setenv("LISTEN_FDS", "2", 1);
    assert_true(hf_activated_is_anothers(&text));
    assert_says(&text, "2 sockets were passed (LISTEN_FDS), but to process x (LISTEN_PID)");
    setenv("LISTEN_PID", "1", 1);
    assert_true(hf_activated_is_anothers(&text));
    assert_says(&text, "to process 1 ");
    setenv("LISTEN_PID", own, 1);
    assert_false(hf_activated_is_anothers(&text));
    unsetenv("LISTEN_PID");
    assert_false(hf_activated_is_anothers(&text));
    unsetenv("LISTEN_FDS");
}

static void notes_are_found_by_their_keys(void **state)
{
    (void)state;
    HfNotes notes = {0};
    const HfNote gone = {.key = (char[]){"hf-p-1"}, .fd = -1};

    assert_int_equal(hf_notes_add(&notes, "hf-p-1", NULL, dup(0)), 0);
    assert_int_equal(hf_notes_add(&notes, "mask", "text", -1), 0);
    assert_string_equal(hf_notes_text(&notes, "mask"), "text");
    assert_null(hf_notes_text(&notes, "other"));
    assert_true(hf_note_is(&notes.list[0], "hf-p"));
    assert_true(hf_note_is(&notes.list[0], "hf-p-1"));
    assert_false(hf_note_is(&notes.list[0], "hf-p-"));
    assert_false(hf_note_is(&notes.list[0], "hf-"));
    assert_false(hf_note_is(&gone, "hf-p"));
    assert_int_equal(hf_notes_take(&notes, "mask"), -1);
    int fd = hf_notes_take(&notes, "hf-p-1");
    assert_true(fd >= 0);
    assert_int_equal(hf_notes_take(&notes, "hf-p-1"), -1);
    close(fd);
    assert_int_equal(hf_notes_add(&notes, "left", NULL, dup(0)), 0);
    hf_notes_clear(&notes, true);
    assert_int_equal(hf_notes_add(&notes, "kept", NULL, -1), 0);
    hf_notes_clear(&notes, false);
}

/* ---- the user's pid file ---- */

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool reads(const char *path, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(path, "r");

    if (!file)
        return false;
    size_t n = fread(found, 1, sizeof(found) - 1, file);
    found[n] = '\0';
    fclose(file);
    return strcmp(found, text) == 0;
}

static void a_pid_file_names_us_until_it_does_not(void **state)
{
    (void)state;
    char directory[] = "/tmp/holdfast-unit-XXXXXX";
    char first[64];
    char second[64];
    char missing[64];
    char own[16];
    static HfSupervisor supervisor;

    assert_non_null(mkdtemp(directory));
    snprintf(first, sizeof(first), "%s/a", directory);
    snprintf(second, sizeof(second), "%s/b", directory);
    snprintf(missing, sizeof(missing), "%s/c/d", directory);
    snprintf(own, sizeof(own), "%d\n", (int)getpid());
    HfPlan plan = {.pid_file = first};

    hf_pid_file_write(&supervisor, &(HfPlan){0});
    assert_null(supervisor.pid_file);
    hf_pid_file_write(&supervisor, &plan);
    assert_true(reads(first, own));
    hf_pid_file_write(&supervisor, &plan); /* it stands */
    plan.pid_file = second;
    for (int i = 0; i < 4; i++) { /* whoever else had it */
        static const char *const before[] = {"x\n", "1\n", "1\n", "1\n"};
        twin = i == 2;
        write_text(second, before[i]);
        hf_pid_file_write(&supervisor, &plan);
        assert_true(reads(second, own));
    }
    assert_false(reads(first, own));
    plan.pid_file = missing; /* cannot be written */
    hf_pid_file_write(&supervisor, &plan);
    assert_null(supervisor.pid_file);
    plan.pid_file = first;
    hf_pid_file_write(&supervisor, &plan);
    hf_pid_file_write(&supervisor, &(HfPlan){0});
    assert_false(reads(first, own));
    hf_pid_file_write(&supervisor, &plan);
    write_text(first, "1\n"); /* another's by now */
    hf_pid_file_remove(&supervisor);
    assert_true(reads(first, "1\n"));
    hf_pid_file_write(&supervisor, &plan);
    unlink(first);
    hf_pid_file_remove(&supervisor);
    hf_pid_file_remove(&supervisor);
    unlink(second);
    assert_int_equal(rmdir(directory), 0);
}

/* ---- parts ---- */

static void what_needs_a_part_says_so(void **state)
{
    (void)state;
    static const HfPart events = {.name = "events"};
    static const HfPart trial = {.name = "trial"};
    static const HfPart ready_log = {.name = "ready_log"};
    static const HfPart inherit = {.name = "inherit"};
    const HfPart *const none[] = {NULL};
    const HfPart *const all[] = {&events, &trial, &ready_log, &inherit, NULL};
    HfText error = {0};
    HfSettings settings;

    hf_settings_init(&settings);
    assert_int_equal(hf_parts_check(none, &settings, &error), 0);
    settings.on_event = (char[]){"true"};
    assert_int_equal(hf_parts_check(none, &settings, &error), -EINVAL);
    assert_says(&error, "--on-event: ");
    assert_int_equal(hf_parts_check(all, &settings, &error), 0);
    settings.on_event = NULL;
    settings.readiness = HF_READINESS_LOG;
    assert_int_equal(hf_parts_check(none, &settings, &error), -EINVAL);
    assert_says(&error, "--ready=log: ");
    assert_int_equal(hf_parts_check(all, &settings, &error), 0);
    settings.readiness = HF_READINESS_AUTO;
    settings.take_over = true;
    assert_int_equal(hf_parts_check(none, &settings, &error), -EINVAL);
    assert_says(&error, "--take-over: ");
    assert_int_equal(hf_parts_check(all, &settings, &error), 0);
    assert_null(hf_parts_trial(all));
}

static void what_is_said_again_waits_once(void **state)
{
    (void)state;
    static HfSupervisor supervisor;
    static const HfEventType types[] = {HF_EVENT_READY, HF_EVENT_LEAVING, HF_EVENT_EXTEND,
                                        HF_EVENT_GONE};

    supervisor = (HfSupervisor){.first_event = HF_SUPERVISOR_EVENTS - 2};
    assert_int_equal(sd_event_new(&supervisor.loop), 0);
    assert_int_equal(sd_event_add_defer(supervisor.loop, &supervisor.step, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        for (unsigned n = 0; n < 3; n++)
            hf_supervisor_post(&supervisor, &(HfEvent){.type = types[i], .slot = n / 2, .usec = n});
    assert_int_equal(supervisor.n_events, 3 * 2 + 3);
    /* the last one counts */
    assert_int_equal(supervisor.events[HF_SUPERVISOR_EVENTS - 2].usec, 1);
    assert_null(hf_supervisor_active(&supervisor));
    assert_null(hf_supervisor_find(&supervisor, 1));
    assert_false(hf_supervisor_waits_longer(&supervisor, HF_TIMER_DEADLINE, 0, 1));
    sd_event_source_unref(supervisor.step);
    sd_event_unref(supervisor.loop);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_has_words),
        cmocka_unit_test(every_refusal_has_a_reason),
        cmocka_unit_test(whoever_has_an_address_is_named),
        cmocka_unit_test(names_that_nobody_has),
        cmocka_unit_test(two_names_for_one_place),
        cmocka_unit_test(a_host_or_interface_that_is_not_there),
        cmocka_unit_test(sockets_of_another_process),
        cmocka_unit_test(notes_are_found_by_their_keys),
        cmocka_unit_test(a_pid_file_names_us_until_it_does_not),
        cmocka_unit_test(what_needs_a_part_says_so),
        cmocka_unit_test(what_is_said_again_waits_once),
    };

    hf_log_setup(NULL, LOG_EMERG, HF_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
