#include "daemon/members.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "sys/members.h"

#define RETRY_TIME    UINT64_C(100000) /* usec, until /proc can be read again */
#define ANCESTORS_MAX 64

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

/* As a subreaper we are an ancestor of all that our generations left behind. */
static bool descends_from_us(pid_t pid)
{
    for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
        if (hf_process_parent(pid, &pid) < 0)
            return false;
        if (pid == getpid())
            return true;
    }
    return false;
}

static int find_holders(const HfPlan *plan, HfProcess **ret, size_t *ret_n)
{
    HF_CLEANUP_FREE ino_t *inodes = calloc(plan->n_listeners + 1, sizeof(*inodes));

    if (!inodes)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_listeners; i++) {
        struct stat status;
        if (fstat(plan->listeners[i]->fd, &status) < 0)
            return -errno;
        inodes[i] = status.st_ino;
    }
    return hf_process_socket_holders(inodes, plan->n_listeners, ret, ret_n);
}

static int watch_holders(HfGeneration *generation)
{
    HfProcess *holders;
    size_t n;

    int r = find_holders(generation->plan, &holders, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n && r >= 0; i++)
        if (descends_from_us(holders[i].pid))
            r = watch(generation, &holders[i], 1);
    hf_process_array_free(holders, n);
    return r;
}

static int find_members(HfGeneration *generation)
{
    HfProcess *processes;
    size_t n;

    hf_members_forget(generation);
    int r = hf_process_members(generation->main.pid, &generation->program, &processes, &n);
    if (r < 0)
        return r;
    r = watch(generation, processes, n);
    hf_process_array_free(processes, n);
    if (r >= 0 && generation->final)
        r = watch_holders(generation);
    return r;
}

static void survey(HfGeneration *generation)
{
    int r = find_members(generation);

    if (r < 0) {
        const HfLogFields fields = {.generation = generation->number, .error = r};
        hf_log(LOG_ERR, &fields,
               "the processes of generation %llu can not be watched, trying again",
               (unsigned long long)generation->number);
        hf_members_forget(generation);
        sd_event_add_time_relative(generation->loop, &generation->survey_timer, CLOCK_MONOTONIC,
                                   RETRY_TIME, 0, on_retry, generation);
    } else if (generation->n_members == 0 && !generation->gone) {
        generation->gone = true;
        generation->callbacks.gone(generation, generation->callbacks.userdata);
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
        hf_members_await(generation);
        for (size_t i = 0; i < generation->n_members; i++)
            hf_process_signal(generation->members[i].process.pidfd, signal);
        return;
    }
    if (hf_process_members(generation->main.pid, &generation->program, &processes, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        hf_process_signal(processes[i].pidfd, signal);
    hf_process_array_free(processes, n);
}

static bool is_answerer(pid_t pid)
{
    HfProgram own;
    HfProgram program;

    return hf_process_program(getpid(), &own) == 0 && hf_process_program(pid, &program) == 0 &&
           own.inode != 0 && program.inode == own.inode && program.device == own.device;
}

void hf_members_end_escaped(const HfPlan *plan)
{
    HfProcess *holders;
    size_t n;

    if (find_holders(plan, &holders, &n) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        if (!descends_from_us(holders[i].pid) || is_answerer(holders[i].pid))
            continue;
        hf_log(LOG_WARNING, NULL,
               "pid %d left its generation and still holds a listener, it is sent SIGKILL",
               (int)holders[i].pid);
        hf_process_signal(holders[i].pidfd, SIGKILL);
    }
    hf_process_array_free(holders, n);
}
