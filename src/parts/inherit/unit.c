/* SPDX-License-Identifier: MIT */
#include "parts/inherit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "format/cgroup.h"
#include "kernel/cgroup.h"
#include "kernel/file.h"
#include "kernel/members.h"
#include "loop/process_set.h"
#include "parts/inherit/systemd.h"

#define CGROUP_FILE_MAX (64U * 1024)
#define PHP_FPM         "php-fpm" /* prefix of its comm, such as php-fpm8.2 */

/* ---- does systemd interfere? ---- */

struct HfUnitCheck {
    HfProcessList of; /* the one process in question */
    HfSystemd *systemd;
    int answer; /* 0, 1: it does, or negative errno */
    bool answered;
    void (*known)(void *userdata);
    void *userdata;
};

HfUnitCheck *hf_unit_check_free(HfUnitCheck *check)
{
    if (!check)
        return NULL;
    hf_systemd_free(check->systemd);
    hf_process_list_clear(&check->of);
    free(check);
    return NULL;
}

/* ret: "" if it belongs to none. */
static int find_unit(const char *process, char *ret)
{
    HF_CLEANUP_FREE char *text = NULL;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/cgroup", process);
    int r = hf_file_read(path, CGROUP_FILE_MAX, &text, NULL);
    if (r < 0)
        return r;
    if (hf_unit_of_cgroup(text, ret) < 0)
        *ret = '\0';
    return 0;
}

/* answer: the check's. */
static void explain_unit(pid_t pid, const char *unit, int answer, HfText *error)
{
    char name[HF_UNIT_MAX];

    hf_text_printable(unit, strlen(unit), name, sizeof(name));
    hf_text_addf(error, "pid %d belongs to the systemd unit %s, ", (int)pid, name);
    if (answer < 0)
        hf_text_addf(error, "and systemd does not say what it does when that process exits: %s",
                     strerror(-answer));
    else
        hf_text_add(error, "which would start it again or remove its socket when it exits");
    hf_text_addf(error,
                 "; nothing was changed. Keep systemd from doing so, then take over again:\n  "
                 "mkdir -p /run/systemd/system/%s.d\n  printf "
                 "'[Service]\\nRestart=no\\nExecStopPost=\\nRuntimeDirectoryPreserve=yes\\n' "
                 ">/run/systemd/system/%s.d/holdfast-take-over.conf\n  systemctl daemon-reload",
                 name, name);
}

static void on_checked(int r, const HfUnitState *state, void *userdata)
{
    HfUnitCheck *check = userdata;

    check->answered = true;
    check->answer = r;
    if (r >= 0)
        check->answer = strcmp(state->restart, "no") != 0 || state->stop_post ||
                        (state->directory && strcmp(state->preserve, "yes") != 0);
    check->known(check->userdata);
}

static int ask_systemd(pid_t pid, const char *unit, sd_event *loop, void (*known)(void *userdata),
                       void *userdata, HfUnitCheck **ret)
{
    HfUnitCheck *check = calloc(1, sizeof(*check));

    if (!check)
        return -ENOMEM;
    check->known = known;
    check->userdata = userdata;
    int r = hf_process_list_add(&check->of, pid);
    if (r >= 0)
        r = hf_systemd_new(loop, unit, on_checked, check, &check->systemd);
    if (r >= 0)
        r = hf_systemd_ask(check->systemd);
    if (r < 0) {
        hf_unit_check_free(check);
        return r;
    }
    *ret = check;
    return 0;
}

int hf_unit_check(HfUnitCheck **check, sd_event *loop, pid_t pid, void (*known)(void *userdata),
                  void *userdata, HfText *error)
{
    char process[16];
    char unit[HF_UNIT_MAX];
    char own[HF_UNIT_MAX];

    snprintf(process, sizeof(process), "%d", (int)pid);
    int r = find_unit(process, unit);
    if (r >= 0)
        r = find_unit("self", own);
    if (r < 0) {
        hf_text_addf(error, "the unit of pid %d cannot be determined: %s", (int)pid, strerror(-r));
        return r;
    }
    if (unit[0] == '\0' || strcmp(unit, own) == 0)
        return 0;
    if (*check && (*check)->answered && hf_process_is_listed(pid, &(*check)->of) > 0) {
        r = (*check)->answer;
        *check = hf_unit_check_free(*check);
    } else {
        *check = hf_unit_check_free(*check);
        r = ask_systemd(pid, unit, loop, known, userdata, check);
        if (r >= 0)
            return HF_UNIT_ASKED;
    }
    if (r == 0)
        return 0;
    explain_unit(pid, unit, r, error);
    return -EBUSY;
}

/* ---- remains of a stopped unit ---- */

typedef struct UnitCleanup {
    const char *unit;
    uint64_t drain_timeout;
    sd_event *loop;
    HfSystemd *systemd;
    HfProcessList left;
    bool listed; /* the remaining processes are listed; systemd is being asked again */
    HfProcessSet *set;
} UnitCleanup;

static void clear_cleanup(UnitCleanup *cleanup)
{
    hf_process_set_free(cleanup->set);
    hf_process_list_clear(&cleanup->left);
    hf_systemd_free(cleanup->systemd);
    sd_event_unref(cleanup->loop);
}

static int is_left_in_unit(pid_t pid, const void *cgroup)
{
    return hf_cgroup_holds(cgroup, pid);
}

static int list_left(HfProcess *process, void *userdata)
{
    return hf_process_list_add(userdata, process->pid);
}

/* Finds none if the unit's cgroup is gone. */
static int find_left(UnitCleanup *cleanup, const char *cgroup)
{
    hf_process_list_clear(&cleanup->left);
    return cgroup[0] == '\0' ? 0
                             : hf_process_visit(is_left_in_unit, cgroup, list_left, &cleanup->left);
}

static int first_signal(const UnitCleanup *cleanup)
{
    HfProgram program;

    for (size_t i = 0; i < cleanup->left.n; i++)
        if (hf_process_program(cleanup->left.list[i].pid, &program) == 0 &&
            strncmp(program.comm, PHP_FPM, strlen(PHP_FPM)) == 0)
            return SIGQUIT;
    return SIGTERM;
}

/* They may have had children. */
static void on_left_gone(void *userdata)
{
    UnitCleanup *cleanup = userdata;
    bool all = !hf_process_set_left_some(cleanup->set);

    cleanup->set = hf_process_set_free(cleanup->set);
    int r = all ? hf_systemd_ask(cleanup->systemd) : -EBUSY;
    if (r < 0)
        sd_event_exit(cleanup->loop, r);
}

static int end_left(UnitCleanup *cleanup)
{
    const HfEscalation escalation = {
        .first = first_signal(cleanup),
        .patience = cleanup->drain_timeout,
    };
    const HfProcessSetSpec spec = {
        .loop = cleanup->loop,
        .match = hf_process_is_listed,
        .wanted = &cleanup->left,
        .who = cleanup->unit,
        .told = "left in a unit that was stopped and",
        .gone = on_left_gone,
        .userdata = cleanup,
    };

    int r = hf_process_set_new(&spec, &cleanup->set);
    if (r >= 0)
        hf_process_set_end(cleanup->set, &escalation);
    return r;
}

typedef enum Fate {
    FATE_OPEN,    /* it is stopping, or waits for a restart */
    FATE_RUNS,    /* systemd has started it, or is about to */
    FATE_STOPPED, /* for good */
} Fate;

static Fate judge_fate(const HfUnitState *state)
{
    if (strcmp(state->active, "inactive") == 0 || strcmp(state->active, "failed") == 0)
        return state->job == 0 ? FATE_STOPPED : FATE_OPEN;
    if (strcmp(state->active, "deactivating") == 0 || strcmp(state->sub, "auto-restart") == 0)
        return FATE_OPEN;
    return FATE_RUNS;
}

/* Asks again once all are listed, so that the list has nobody whom a new start has begun. */
static int decide(UnitCleanup *cleanup, const HfUnitState *state)
{
    Fate fate = judge_fate(state);
    bool listed = cleanup->listed;

    cleanup->listed = false;
    if (fate == FATE_OPEN)
        return 0;
    if (fate == FATE_STOPPED && !listed) {
        int r = find_left(cleanup, state->cgroup);
        if (r < 0)
            return r;
        cleanup->listed = true;
        return hf_systemd_ask(cleanup->systemd);
    }
    if (fate == FATE_RUNS || cleanup->left.n == 0)
        return sd_event_exit(cleanup->loop, 0);
    return end_left(cleanup);
}

static void on_unit(int r, const HfUnitState *state, void *userdata)
{
    UnitCleanup *cleanup = userdata;

    if (cleanup->set) /* they are being ended */
        return;
    if (r >= 0)
        r = decide(cleanup, state);
    if (r < 0)
        sd_event_exit(cleanup->loop, r);
}

static int on_cleanup_term(sd_event_source *source, const struct signalfd_siginfo *info,
                           void *userdata)
{
    UnitCleanup *cleanup = userdata;

    (void)source;
    (void)info;
    if (cleanup->set)
        hf_process_set_escalate(cleanup->set);
    else
        sd_event_exit(cleanup->loop, -EINTR);
    return 0;
}

/* Subscribes before it asks, so that no change is missed. */
static int begin_cleanup(UnitCleanup *cleanup)
{
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, NULL) < 0)
        return -errno;
    int r = sd_event_new(&cleanup->loop);
    if (r >= 0)
        r = sd_event_add_signal(cleanup->loop, NULL, SIGTERM, on_cleanup_term, cleanup);
    if (r >= 0)
        r = hf_systemd_new(cleanup->loop, cleanup->unit, on_unit, cleanup, &cleanup->systemd);
    if (r >= 0)
        r = hf_systemd_follow(cleanup->systemd);
    return r < 0 ? r : hf_systemd_ask(cleanup->systemd);
}

int hf_unit_cleanup(const char *unit, uint64_t drain_timeout)
{
    UnitCleanup cleanup = {.unit = unit, .drain_timeout = drain_timeout};

    int r = begin_cleanup(&cleanup);
    if (r >= 0)
        r = sd_event_loop(cleanup.loop);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "the processes left in %s cannot be ended%s", unit,
               r == -ETIMEDOUT ? ", as systemd does not say whether it starts the unit again" : "");
    }
    clear_cleanup(&cleanup);
    return r;
}
