/* SPDX-License-Identifier: MIT */
#include "loop/process_set.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/memory.h"
#include "loop/reaper.h"

#define RETRY_TIME    (100 * HF_USEC_PER_MSEC) /* until /proc is read again */
#define DESCRIBED_MAX 8                        /* in a list for the log */
#define BATCH_MIN     4
#define BATCH_MAX     256
#define BATCH_SHARE   16 /* the part of our descriptor limit that a batch may use */

typedef struct Watched {
    HfProcess process; /* pid 0: it has left */
    sd_event_source *source;
} Watched;

typedef struct PidList {
    pid_t *pids;
    size_t n;
    size_t capacity;
} PidList;

struct HfProcessSet {
    HfProcessSetSpec spec;
    char *who;
    sd_event_source *look;     /* scheduled soon */
    sd_event_source *deadline; /* for hf_process_set_end */
    sd_event_source *pace;     /* for hf_process_set_ask */
    Watched *watched;
    size_t n_watched;
    size_t capacity;
    size_t n_alive; /* in it */
    int signal;     /* the last one sent; 0: none */
    PidList sent;   /* processes that have got it */
    int kills;
    PidList asking;
    size_t next; /* position while asking */
    uint64_t pace_time;
    void (*asked)(void *userdata);
    bool refused;      /* logged that one belongs to another user */
    bool refused_kill; /* the same for KILL; it no longer counts */
    int logged;        /* signal last logged */
    bool waits;        /* calls gone at the end */
    bool given_up;
    bool failed; /* the last look failed, and that was logged */
};

/* ---- names ---- */

void hf_process_names_add(HfProcessNames *names, pid_t pid)
{
    HfProgram program = {0};

    if (names->n++ >= DESCRIBED_MAX)
        return;
    if (hf_process_program(pid, &program) < 0)
        program.comm[0] = '?';
    hf_text_addf(&names->text, "%s%s (%d)", names->n == 1 ? "" : ", ", program.comm, (int)pid);
}

const char *hf_process_names_text(HfProcessNames *names)
{
    if (names->n > DESCRIBED_MAX)
        hf_text_addf(&names->text, " and %zu more", names->n - DESCRIBED_MAX);
    names->n = 0;
    return hf_text_peek(&names->text);
}

void hf_process_names_clear(HfProcessNames *names)
{
    hf_text_clear(&names->text);
}

static int name_one(HfProcess *process, void *userdata)
{
    if (hf_process_signal(process->pidfd, 0) != -EPERM) /* has been logged on a line of its own */
        hf_process_names_add(userdata, process->pid);
    return 0;
}

/* ---- lists of pids: for recognition only, never for signalling ---- */

static int add_pid(PidList *list, pid_t pid)
{
    int r = hf_array_reserve(&list->pids, &list->capacity, list->n + 1, sizeof(*list->pids));

    if (r >= 0)
        list->pids[list->n++] = pid;
    return r;
}

static bool has_pid(const PidList *list, pid_t pid)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->pids[i] == pid)
            return true;
    return false;
}

/* ---- watching ---- */

static void schedule_look(HfProcessSet *set, uint64_t usec)
{
    sd_event_source_set_time_relative(set->look, usec);
    sd_event_source_set_enabled(set->look, SD_EVENT_ONESHOT);
}

static void forget_one(Watched *watched)
{
    watched->source = sd_event_source_disable_unref(watched->source);
    hf_process_clear(&watched->process);
}

static void forget_watched(HfProcessSet *set)
{
    for (size_t i = 0; i < set->n_watched; i++)
        forget_one(&set->watched[i]);
    set->n_watched = set->n_alive = 0;
}

static int on_exit_of_one(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfProcessSet *set = userdata;

    (void)source;
    (void)revents;
    for (size_t i = 0; i < set->n_watched; i++) {
        if (set->watched[i].process.pidfd != fd)
            continue;
        forget_one(&set->watched[i]);
        if (--set->n_alive == 0)
            schedule_look(set, 0); /* there may be more, and their children */
        break;
    }
    return 0;
}

/* Leaves descriptors for others. */
static size_t batch_size(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur / BATCH_SHARE < BATCH_MIN)
        return BATCH_MIN;
    return files.rlim_cur / BATCH_SHARE < BATCH_MAX ? (size_t)files.rlim_cur / BATCH_SHARE
                                                    : BATCH_MAX;
}

static int watch(HfProcessSet *set, HfProcess *process)
{
    Watched watched = {.process = *process};

    int r = hf_array_reserve(&set->watched, &set->capacity, set->n_watched + 1, sizeof(watched));
    if (r >= 0)
        r = sd_event_add_io(set->spec.loop, &watched.source, process->pidfd, EPOLLIN,
                            on_exit_of_one, set);
    if (r < 0)
        return r;
    *process = HF_PROCESS_NONE;
    set->watched[set->n_watched++] = watched;
    set->n_alive++;
    return 0;
}

/* ---- signals ---- */

void hf_process_set_refused(HfProcessSet *set, pid_t pid, int signal)
{
    bool *told = signal == SIGKILL ? &set->refused_kill : &set->refused;
    HF_CLEANUP_NAMES HfProcessNames names = {0};

    if (!*told) {
        hf_process_names_add(&names, pid);
        hf_log(LOG_ERR, NULL,
               "a process of %s belongs to another user and cannot be signalled, %s: %s", set->who,
               signal == SIGKILL ? "it is left behind" : "it is waited for",
               hf_process_names_text(&names));
    }
    *told = true;
}

bool hf_process_set_left_some(const HfProcessSet *set)
{
    return set->refused_kill || set->given_up;
}

static int signal_one(HfProcessSet *set, const HfProcess *process, int signal)
{
    if (set->spec.signal_for)
        signal = set->spec.signal_for(process->pid, signal, set->spec.userdata);
    int r = signal == 0 ? 0 : hf_process_ask(process->pidfd, signal);
    if (r == -EPERM)
        hf_process_set_refused(set, process->pid, signal);
    return r;
}

/* Each gets the signal once; those still to be asked one by one get it in turn. */
static int signal_newcomer(HfProcessSet *set, const HfProcess *process)
{
    if (set->signal == 0 || set->next < set->asking.n || has_pid(&set->sent, process->pid))
        return 0;
    signal_one(set, process, set->signal);
    return add_pid(&set->sent, process->pid);
}

typedef struct Look {
    HfProcessSet *set;
    size_t batch;
    size_t n;
} Look;

static int watch_process(HfProcess *process, void *userdata)
{
    Look *look = userdata;
    HfProcessSet *set = look->set;

    int r = signal_newcomer(set, process);
    if (r < 0)
        return r;
    if (set->refused_kill && hf_process_signal(process->pidfd, 0) == -EPERM)
        return 0;
    look->n++;
    return set->n_watched < look->batch ? watch(set, process) : 0;
}

static void set_owed(const HfProcessSet *set, int signal)
{
    if (set->spec.owed)
        *set->spec.owed = signal;
}

/* Returns how many remain; at least 1 when that cannot be determined yet. */
static size_t survey(HfProcessSet *set)
{
    Look look = {.set = set, .batch = batch_size()};

    forget_watched(set);
    sd_event_source_set_enabled(set->look, SD_EVENT_OFF);
    int r = hf_process_visit(set->spec.match, set->spec.wanted, watch_process, &look);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        if (!set->failed)
            hf_log(LOG_ERR, &fields, "the processes of %s cannot be watched, trying again",
                   set->who);
        set->failed = true;
        forget_watched(set);
        schedule_look(set, RETRY_TIME);
        return 1;
    }
    set->failed = false;
    set_owed(set, 0);
    return look.n;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfProcessSet *set = userdata;

    (void)source;
    (void)usec;
    if (!set->given_up && survey(set) > 0)
        return 0;
    set->waits = false;
    sd_event_source_set_enabled(set->deadline, SD_EVENT_OFF);
    hf_process_set_ask_no_more(set);
    set->spec.gone(set->spec.userdata);
    return 0;
}

static void abandon(HfProcessSet *set)
{
    HF_CLEANUP_NAMES HfProcessNames names = {0};

    hf_process_visit(set->spec.match, set->spec.wanted, name_one, &names);
    hf_log(LOG_ERR, NULL, "processes that SIGKILL does not end are left behind, of %s: %s",
           set->who, hf_process_names_text(&names));
    forget_watched(set);
    set->given_up = true;
    schedule_look(set, 0);
}

void hf_process_set_await(HfProcessSet *set)
{
    if (set->waits)
        return;
    set->waits = true;
    schedule_look(set, 0);
}

bool hf_process_set_signal(HfProcessSet *set, int signal)
{
    if (signal == SIGKILL && ++set->kills > HF_KILLS_MAX) {
        if (!set->given_up)
            abandon(set);
        return false;
    }
    hf_process_set_ask_no_more(set);
    set->signal = signal;
    set->sent.n = 0;
    set->waits = true;
    set_owed(set, signal);
    if (survey(set) == 0)
        schedule_look(set, 0);
    return true;
}

/* ---- one after another ---- */

void hf_process_set_ask_no_more(HfProcessSet *set)
{
    sd_event_source_set_enabled(set->pace, SD_EVENT_OFF);
    set->next = set->asking.n = 0;
}

static int remember_one(HfProcess *process, void *userdata)
{
    return add_pid(userdata, process->pid);
}

/* Returns false when all have been asked. */
static bool ask_next(HfProcessSet *set)
{
    while (set->next < set->asking.n) {
        HfProcess process = HF_PROCESS_NONE;
        pid_t pid = set->asking.pids[set->next++];
        int signal = set->spec.signal_for
                         ? set->spec.signal_for(pid, set->signal, set->spec.userdata)
                         : set->signal;
        if (signal == 0 ||
            hf_process_open_match(pid, set->spec.match, set->spec.wanted, &process) <= 0)
            continue;
        signal_one(set, &process, set->signal);
        add_pid(&set->sent, pid);
        hf_process_clear(&process);
        return true;
    }
    return false;
}

static int on_pace(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfProcessSet *set = userdata;

    (void)usec;
    if (ask_next(set)) {
        sd_event_source_set_time_relative(source, set->pace_time);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
    }
    hf_process_set_ask_no_more(set);
    if (set->asked)
        set->asked(set->spec.userdata);
    else
        hf_process_set_await(set);
    return 0;
}

/* If the processes cannot be found now, the next, harder step will reach them. */
void hf_process_set_ask(HfProcessSet *set, int signal, uint64_t pace, uint64_t within,
                        void (*asked)(void *userdata))
{
    set->signal = signal;
    set->sent.n = set->next = set->asking.n = 0;
    set->asked = asked;
    hf_process_visit(set->spec.match, set->spec.wanted, remember_one, &set->asking);
    uint64_t share = within / (set->asking.n + 1);
    set->pace_time = share < pace ? share : pace;
    sd_event_source_set_time_relative(set->pace, 0);
    sd_event_source_set_enabled(set->pace, SD_EVENT_ONESHOT);
}

/* ---- escalation ---- */

static void log_signal(HfProcessSet *set, int signal)
{
    HF_CLEANUP_NAMES HfProcessNames names = {0};

    if (!set->spec.told || set->logged == signal)
        return;
    set->logged = signal;
    hf_process_visit(set->spec.match, set->spec.wanted, name_one, &names);
    if (names.n > 0)
        hf_log(signal == SIGKILL || signal == SIGTERM ? LOG_WARNING : LOG_NOTICE, NULL,
               "%s sent SIG%s: %s", set->spec.told,
               hf_signal_name(signal, (char[HF_SIGNAL_NAME_SIZE]){0}),
               hf_process_names_text(&names));
}

static void escalate(HfProcessSet *set, int signal, uint64_t patience)
{
    log_signal(set, signal);
    sd_event_source_set_time_relative(set->deadline, patience);
    sd_event_source_set_time_accuracy(set->deadline, HF_LOOP_ACCURACY(patience));
    sd_event_source_set_enabled(set->deadline, SD_EVENT_ONESHOT);
    hf_process_set_signal(set, signal);
}

static int on_patience_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfProcessSet *set = userdata;

    (void)source;
    (void)usec;
    if (set->signal == SIGTERM || set->signal == SIGKILL)
        escalate(set, SIGKILL, HF_KILL_INTERVAL);
    else
        escalate(set, SIGTERM, HF_TERM_TIMEOUT);
    return 0;
}

void hf_process_set_end(HfProcessSet *set, const HfEscalation *escalation)
{
    int first = escalation->first;
    uint64_t patience = escalation->patience;

    if (escalation->silent)
        set->logged = first;
    if (escalation->pace == 0) {
        escalate(set, first, patience);
        return;
    }
    sd_event_source_set_time_relative(set->deadline, patience);
    sd_event_source_set_time_accuracy(set->deadline, HF_LOOP_ACCURACY(patience));
    sd_event_source_set_enabled(set->deadline, SD_EVENT_ONESHOT);
    hf_process_set_ask(set, first, escalation->pace, HF_USEC_INFINITY, NULL);
}

void hf_process_set_escalate(HfProcessSet *set)
{
    sd_event_source_set_time_relative(set->deadline, 0);
}

/* ---- its life ---- */

static int add_timer(HfProcessSet *set, sd_event_time_handler_t handler, sd_event_source **ret)
{
    int r = sd_event_add_time_relative(set->spec.loop, ret, CLOCK_MONOTONIC, 0, 1, handler, set);

    return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int hf_process_set_new(const HfProcessSetSpec *spec, HfProcessSet **ret)
{
    HfProcessSet *set = hf_allocate(1, sizeof(*set));

    if (!set)
        return -ENOMEM;
    set->spec = *spec;
    int r = hf_string_set(&set->who, spec->who);
    if (r >= 0)
        r = add_timer(set, on_look, &set->look);
    if (r >= 0)
        r = add_timer(set, on_patience_over, &set->deadline);
    if (r >= 0)
        r = add_timer(set, on_pace, &set->pace);
    if (r < 0) {
        hf_process_set_free(set);
        return r;
    }
    *ret = set;
    return 0;
}

HfProcessSet *hf_process_set_free(HfProcessSet *set)
{
    if (!set)
        return NULL;
    forget_watched(set);
    sd_event_source_disable_unref(set->look);
    sd_event_source_disable_unref(set->deadline);
    sd_event_source_disable_unref(set->pace);
    free(set->watched);
    free(set->sent.pids);
    free(set->asking.pids);
    free(set->who);
    free(set);
    return NULL;
}
