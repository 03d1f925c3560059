#include "run/members.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"

#define RETRY_TIME    UINT64_C(100000) /* usec, until /proc can be read again */
#define DESCRIBED_MAX 8                /* of a list in the log */

typedef struct HfMemberWatch {
    HfProcess process;
    sd_event_source *source;
} HfMemberWatch;

static void survey(HfGeneration *generation);

void hf_members_forget(HfGeneration *generation)
{
    generation->survey_timer = sd_event_source_disable_unref(generation->survey_timer);
    for (size_t i = 0; i < generation->n_members; i++) {
        sd_event_source_disable_unref(generation->members[i].source);
        hf_process_clear(&generation->members[i].process);
    }
    free(generation->members);
    generation->members = NULL;
    generation->n_members = 0;
}

static int on_member_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfGeneration *generation = userdata;

    (void)fd;
    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    for (size_t i = 0; i < generation->n_members; i++) {
        int enabled = SD_EVENT_OFF;
        sd_event_source_get_enabled(generation->members[i].source, &enabled);
        if (enabled != SD_EVENT_OFF)
            return 0;
    }
    survey(generation); /* they may have had children */
    return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    survey(userdata);
    return 0;
}

/* Takes the pidfds over. */
static int watch(HfGeneration *generation, HfProcess *processes, size_t n)
{
    if (n == 0)
        return 0;
    HfMemberWatch *grown =
        reallocarray(generation->members, generation->n_members + n, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    generation->members = grown;
    for (size_t i = 0; i < n; i++) {
        HfMemberWatch *member = &generation->members[generation->n_members];
        *member = (HfMemberWatch){.process = processes[i]};
        processes[i] = HF_PROCESS_NONE;
        generation->n_members++;
        int r = sd_event_add_io(generation->loop, &member->source, member->process.pidfd, EPOLLIN,
                                on_member_exit, generation);
        if (r < 0)
            return r;
    }
    return 0;
}

static HfMembership membership_of(const HfGeneration *generation, const HfProgram *program)
{
    return (HfMembership){
        .session = generation->session,
        .cgroup = generation->subgroup.path,
        .program = program,
    };
}

static int find_running(const HfGeneration *generation, const HfProgram *program, HfProcess **ret,
                        size_t *ret_n)
{
    const HfMembership membership = membership_of(generation, program);

    return hf_process_members(&membership, ret, ret_n);
}

int hf_members_of_service(const HfGeneration *generation, HfProcess **ret, size_t *ret_n)
{
    return find_running(generation, &generation->program, ret, ret_n);
}

int hf_members_find(const HfGeneration *generation, HfProcess **ret, size_t *ret_n)
{
    if (generation->plan->kill_mode != HF_KILL_MODE_ALL)
        return hf_members_of_service(generation, ret, ret_n);
    return find_running(generation, NULL, ret, ret_n);
}

int hf_members_open(const HfGeneration *generation, pid_t pid, HfProcess *ret)
{
    const HfMembership membership = membership_of(generation, NULL);

    return hf_process_open_member(pid, &membership, ret);
}

bool hf_members_has(const HfGeneration *generation, pid_t pid)
{
    HfProcess process;

    if (hf_members_open(generation, pid, &process) <= 0)
        return false;
    hf_process_clear(&process);
    return true;
}

/* Who cannot be ended does not count any more. */
static void drop_others(HfProcess *processes, size_t *n)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++) {
        if (hf_process_signal(processes[i].pidfd, 0) == -EPERM)
            hf_process_clear(&processes[i]);
        else
            processes[kept++] = processes[i];
    }
    *n = kept;
}

static int find_members(HfGeneration *generation)
{
    HfProcess *processes;
    size_t n;

    hf_members_forget(generation);
    int r = hf_members_find(generation, &processes, &n);
    if (r < 0)
        return r;
    if (generation->others_given_up)
        drop_others(processes, &n);
    r = watch(generation, processes, n);
    hf_process_array_free(processes, n);
    return r;
}

void hf_members_describe(const HfProcess *processes, size_t n, HfText *text)
{
    for (size_t i = 0; i < n && i < DESCRIBED_MAX; i++) {
        HfProgram program = {0};
        if (hf_process_program(processes[i].pid, &program) < 0)
            program.comm[0] = '?';
        hf_text_addf(text, "%s%s (%d)", i == 0 ? "" : ", ", program.comm, (int)processes[i].pid);
    }
    if (n > DESCRIBED_MAX)
        hf_text_addf(text, " and %zu more", n - DESCRIBED_MAX);
}

/* What its scripts put in the background goes on: no failure when it cannot be looked at. */
static void tell_of_spared(const HfGeneration *generation)
{
    const HfLogFields fields = {.generation = generation->number};
    HF_CLEANUP_TEXT HfText text = {0};
    HfProcess *processes;
    size_t n;

    if (find_running(generation, NULL, &processes, &n) < 0)
        return;
    if (generation->others_given_up)
        drop_others(processes, &n); /* has had its line */
    hf_members_describe(processes, n, &text);
    if (n > 0)
        hf_log(LOG_NOTICE, &fields, "generation %llu leaves in the background: %s",
               (unsigned long long)generation->number, hf_text_peek(&text));
    hf_process_array_free(processes, n);
}

void hf_members_refused(HfGeneration *generation, const HfProcess *process, int signal)
{
    const HfLogFields fields = {.generation = generation->number};
    HF_CLEANUP_TEXT HfText text = {0};
    bool *told = signal == SIGKILL ? &generation->others_given_up : &generation->others_told;

    if (!*told) {
        hf_members_describe(process, 1, &text);
        hf_log(LOG_ERR, &fields,
               "a process of generation %llu is another user's and cannot be signalled, %s: %s",
               (unsigned long long)generation->number,
               signal == SIGKILL ? "it is left behind" : "it is waited for", hf_text_peek(&text));
    }
    *told = true;
}

/* A stop signal that the service knows may be news to another program. */
static int signal_for(const HfGeneration *generation, const HfProcess *process, int signal)
{
    HfProgram program;

    if (signal == SIGKILL || generation->plan->kill_mode != HF_KILL_MODE_ALL ||
        hf_process_program(process->pid, &program) < 0)
        return signal;
    return hf_program_same(&program, &generation->program) ? signal : SIGTERM;
}

static void signal_one(HfGeneration *generation, const HfProcess *process, int signal)
{
    if (hf_process_signal(process->pidfd, signal_for(generation, process, signal)) == -EPERM)
        hf_members_refused(generation, process, signal);
}

static void signal_watched(HfGeneration *generation, int signal)
{
    generation->owed = 0;
    for (size_t i = 0; i < generation->n_members; i++)
        signal_one(generation, &generation->members[i].process, signal);
}

static void survey(HfGeneration *generation)
{
    int r = find_members(generation);

    if (r < 0) {
        const HfLogFields fields = {.generation = generation->number, .error = r};
        hf_log(LOG_ERR, &fields, "the processes of generation %llu cannot be watched, trying again",
               (unsigned long long)generation->number);
        hf_members_forget(generation);
        sd_event_add_time_relative(generation->loop, &generation->survey_timer, CLOCK_MONOTONIC,
                                   RETRY_TIME, 0, on_retry, generation);
    } else if (generation->n_members == 0 && !generation->gone) {
        generation->gone = true;
        tell_of_spared(generation);
        generation->callbacks.gone(generation, generation->callbacks.userdata);
    } else if (generation->owed != 0) {
        signal_watched(generation, generation->owed);
        if (generation->others_given_up)
            survey(generation);
    }
}

void hf_members_await(HfGeneration *generation)
{
    if (!generation->gone)
        survey(generation);
}

void hf_members_signal(HfGeneration *generation, int signal)
{
    HfProcess *processes;
    size_t n;

    if (generation->main_exited) {
        generation->owed = signal;
        hf_members_await(generation);
        return;
    }
    if (hf_members_find(generation, &processes, &n) < 0) {
        generation->owed = signal; /* until the main process has exited and they are waited for */
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (processes[i].pid != generation->main.pid)
            signal_one(generation, &processes[i], signal);
    hf_process_array_free(processes, n);
}

int hf_members_measure(const HfGeneration *generation, uint64_t *ret_processes,
                       uint64_t *ret_memory)
{
    HfProcess *processes;
    uint64_t memory;
    size_t n;

    int r = hf_members_find(generation, &processes, &n);
    if (r < 0)
        return r;
    *ret_processes = n;
    if (ret_memory)
        *ret_memory = 0;
    for (size_t i = 0; i < n && ret_memory; i++)
        if (hf_process_memory(processes[i].pid, &memory) == 0)
            *ret_memory += memory;
    hf_process_array_free(processes, n);
    return 0;
}
