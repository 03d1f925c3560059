/* SPDX-License-Identifier: MIT */
#include "parts/inherit/inherit_parts.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "format/cgroup.h"
#include "kernel/cgroup.h"
#include "kernel/file.h"
#include "kernel/members.h"
#include "loop/process_set.h"

#define CALL_TIME       (5 * HF_USEC_PER_SEC) /* including the connection */
#define PRIVATE_ADDRESS "unix:path=/run/systemd/private"
#define NAME            "org.freedesktop.systemd1"
#define OBJECT          "/org/freedesktop/systemd1"
#define PROPERTIES      "org.freedesktop.DBus.Properties"
#define COMMAND         "sasbttttuii" /* path, arguments, flags and times of each ExecStopPost= */

/* ---- systemd, asked about a unit from the loop, without waiting ---- */

/* org.freedesktop.systemd1(5). Borrowed; "" for values that systemd does not have. */
typedef struct UnitState {
    const char *active;   /* ActiveState */
    const char *sub;      /* SubState */
    const char *cgroup;   /* ControlGroup */
    const char *restart;  /* Restart */
    const char *preserve; /* RuntimeDirectoryPreserve */
    uint32_t job;         /* id of the pending or running job; 0: none */
    bool directory;       /* RuntimeDirectory is set */
    bool stop_post;       /* ExecStopPost is set */
} UnitState;

/* r 0, or negative errno: systemd cannot be asked, or did not answer in time. Called from the loop;
 * may free the object. */
typedef void (*SystemdAnswered)(int r, const UnitState *state, void *userdata);

typedef struct Systemd {
    sd_bus *bus;
    char *path; /* of the unit's object */
    sd_event *loop;
    sd_event_source *timer; /* NULL: no question is pending */
    sd_bus_slot *call;
    bool again;
    SystemdAnswered answered;
    void *userdata;
} Systemd;

static int connect_directly(sd_bus **ret)
{
    sd_bus *bus = NULL;

    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_bus_set_address(bus, PRIVATE_ADDRESS);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r < 0) {
        sd_bus_unref(bus);
        return r;
    }
    *ret = bus;
    return 0;
}

/* No callback. Accepts and returns NULL. */
static Systemd *leave_systemd(Systemd *systemd)
{
    if (!systemd)
        return NULL;
    sd_event_source_disable_unref(systemd->timer);
    sd_bus_slot_unref(systemd->call);
    if (systemd->bus)
        sd_bus_detach_event(systemd->bus);
    sd_bus_close_unref(systemd->bus);
    free(systemd->path);
    free(systemd);
    return NULL;
}

/* Uses the bus daemon or, if none runs, for root the socket that systemctl uses. */
static int connect_to_systemd(sd_event *loop, const char *unit, SystemdAnswered answered,
                              void *userdata, Systemd **ret)
{
    Systemd *systemd = calloc(1, sizeof(*systemd));

    if (!systemd)
        return -ENOMEM;
    systemd->loop = loop;
    systemd->answered = answered;
    systemd->userdata = userdata;
    int r = sd_bus_path_encode(OBJECT "/unit", unit, &systemd->path);
    if (r >= 0)
        r = sd_bus_open_system(&systemd->bus);
    if (r < 0 && systemd->path)
        r = connect_directly(&systemd->bus);
    if (r >= 0)
        r = sd_bus_set_close_on_exit(systemd->bus, 0); /* nor flush: that waits for the reader */
    if (r >= 0)
        r = sd_bus_attach_event(systemd->bus, loop, SD_EVENT_PRIORITY_NORMAL);
    if (r < 0) {
        leave_systemd(systemd);
        return r;
    }
    *ret = systemd;
    return 0;
}

/* ---- the answer ---- */

static int read_is_empty(sd_bus_message *message, const char *element, bool *ret)
{
    int r = sd_bus_message_enter_container(message, 'a', element);
    if (r < 0)
        return r;
    *ret = sd_bus_message_at_end(message, 0) > 0;
    while ((r = sd_bus_message_at_end(message, 0)) == 0)
        if ((r = sd_bus_message_skip(message, element)) < 0)
            return r;
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* Reads inside the variant. Returns as sd_bus_message_*. */
static int read_value(sd_bus_message *message, const char *name, const char *type, UnitState *state)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"ActiveState", &state->active},
        {"SubState", &state->sub},
        {"ControlGroup", &state->cgroup},
        {"Restart", &state->restart},
        {"RuntimeDirectoryPreserve", &state->preserve},
    };
    bool empty = true;
    int r;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (strcmp(name, texts[i].name) == 0 && strcmp(type, "s") == 0)
            return sd_bus_message_read(message, "s", texts[i].text);
    if (strcmp(name, "Job") == 0 && strcmp(type, "(uo)") == 0)
        return sd_bus_message_read(message, "(uo)", &state->job, NULL);
    if (strcmp(name, "RuntimeDirectory") == 0 && strcmp(type, "as") == 0) {
        r = read_is_empty(message, "s", &empty);
        state->directory = !empty;
        return r;
    }
    if (strcmp(name, "ExecStopPost") == 0 && strcmp(type, "a(" COMMAND ")") == 0) {
        r = read_is_empty(message, "(" COMMAND ")", &empty);
        state->stop_post = !empty;
        return r;
    }
    return sd_bus_message_skip(message, type);
}

static int read_state(sd_bus_message *message, UnitState *state)
{
    const char *name;
    const char *type;

    int r = sd_bus_message_enter_container(message, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = sd_bus_message_read(message, "s", &name);
        if (r >= 0)
            r = sd_bus_message_peek_type(message, NULL, &type);
        if (r >= 0)
            r = sd_bus_message_enter_container(message, 'v', type);
        if (r >= 0)
            r = read_value(message, name, type, state);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    }
    return r;
}

static int ask_about_unit(Systemd *systemd);

static void end_question(Systemd *systemd, int r, const UnitState *state)
{
    SystemdAnswered answered = systemd->answered;
    void *userdata = systemd->userdata;
    bool again = systemd->again;

    systemd->timer = sd_event_source_disable_unref(systemd->timer);
    systemd->call = sd_bus_slot_unref(systemd->call);
    systemd->again = false;
    if (r >= 0 && again)
        r = ask_about_unit(systemd);
    answered(r, state, userdata);
}

static int on_unit_state(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    UnitState state = {"", "", "", "", "", 0, true, true}; /* the worst, until known */

    (void)unused;
    int r = -sd_bus_message_get_errno(message);
    if (r == 0)
        r = read_state(message, &state);
    if (r >= 0 && state.active[0] == '\0') /* not a unit of a kind that we know */
        r = -EPROTO;
    end_question(userdata, r, &state);
    return 0;
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    end_question(userdata, -ETIMEDOUT, NULL);
    return 0;
}

/* With a timer of our own: sd-bus counts the time of a call from when the connection is up, which a
 * silent daemon never lets it be. Each question gets one answer; a question during another one is
 * asked after it. */
static int ask_about_unit(Systemd *systemd)
{
    if (systemd->timer) {
        systemd->again = true;
        return 0;
    }
    int r = sd_event_add_time_relative(systemd->loop, &systemd->timer, CLOCK_MONOTONIC, CALL_TIME,
                                       0, on_silence, systemd);
    if (r >= 0)
        r = sd_bus_call_method_async(systemd->bus, &systemd->call, NAME, systemd->path, PROPERTIES,
                                     "GetAll", on_unit_state, systemd, "s", "");
    if (r < 0)
        systemd->timer = sd_event_source_disable_unref(systemd->timer);
    return r < 0 ? r : 0;
}

static int on_change(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    Systemd *systemd = userdata;

    (void)message;
    (void)unused;
    int r = ask_about_unit(systemd);
    if (r < 0)
        systemd->answered(r, NULL, systemd->userdata);
    return 0;
}

/* From now on each change of the unit asks again. */
static int follow_unit(Systemd *systemd)
{
    int r = sd_bus_match_signal_async(systemd->bus, NULL, NULL, systemd->path, PROPERTIES,
                                      "PropertiesChanged", on_change, NULL, systemd);
    if (r >= 0)
        r = sd_bus_call_method_async(systemd->bus, NULL, NAME, OBJECT, NAME ".Manager", "Subscribe",
                                     NULL, NULL, NULL);
    return r < 0 ? r : 0;
}

#define CGROUP_FILE_MAX (64U * 1024)
#define PHP_FPM         "php-fpm" /* prefix of its comm, such as php-fpm8.2 */

/* ---- does systemd interfere? ---- */

struct HfUnitCheck {
    HfProcessList of; /* the one process in question */
    Systemd *systemd;
    int answer; /* 0, 1: it does, or negative errno */
    bool answered;
    void (*known)(void *userdata);
    void *userdata;
};

HfUnitCheck *hf_unit_check_free(HfUnitCheck *check)
{
    if (!check)
        return NULL;
    leave_systemd(check->systemd);
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

static void on_checked(int r, const UnitState *state, void *userdata)
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
        r = connect_to_systemd(loop, unit, on_checked, check, &check->systemd);
    if (r >= 0)
        r = ask_about_unit(check->systemd);
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
    Systemd *systemd;
    HfProcessList left;
    bool listed; /* the remaining processes are listed; systemd is being asked again */
    HfProcessSet *set;
} UnitCleanup;

static void clear_cleanup(UnitCleanup *cleanup)
{
    hf_process_set_free(cleanup->set);
    hf_process_list_clear(&cleanup->left);
    leave_systemd(cleanup->systemd);
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
    int r = all ? ask_about_unit(cleanup->systemd) : -EBUSY;
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

static Fate judge_fate(const UnitState *state)
{
    if (strcmp(state->active, "inactive") == 0 || strcmp(state->active, "failed") == 0)
        return state->job == 0 ? FATE_STOPPED : FATE_OPEN;
    if (strcmp(state->active, "deactivating") == 0 || strcmp(state->sub, "auto-restart") == 0)
        return FATE_OPEN;
    return FATE_RUNS;
}

/* Asks again once all are listed, so that the list has nobody whom a new start has begun. */
static int decide(UnitCleanup *cleanup, const UnitState *state)
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
        return ask_about_unit(cleanup->systemd);
    }
    if (fate == FATE_RUNS || cleanup->left.n == 0)
        return sd_event_exit(cleanup->loop, 0);
    return end_left(cleanup);
}

static void on_unit(int r, const UnitState *state, void *userdata)
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
        r = connect_to_systemd(cleanup->loop, cleanup->unit, on_unit, cleanup, &cleanup->systemd);
    if (r >= 0)
        r = follow_unit(cleanup->systemd);
    return r < 0 ? r : ask_about_unit(cleanup->systemd);
}

int hf_unit_cleanup(const char *unit, uint64_t drain_timeout)
{
    UnitCleanup cleanup = {.unit = unit, .drain_timeout = drain_timeout};

    int r = begin_cleanup(&cleanup);
    if (r >= 0)
        r = sd_event_loop(cleanup.loop);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r}, "the processes left in %s cannot be ended%s",
               unit,
               r == -ETIMEDOUT ? ", as systemd does not say whether it starts the unit again" : "");
    clear_cleanup(&cleanup);
    return r;
}
