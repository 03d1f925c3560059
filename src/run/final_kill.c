#include "run/final_kill.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"
#include "run/members.h"
#include "run/own_unit.h"

#define KILLS_MAX 10 /* then it is stuck in the kernel */

struct HfFinalKill {
    HfSupervisor *supervisor;
    int status;
    int signal; /* TERM, then KILL */
    int told;   /* the signal that the log has named */
    int kills;
    bool told_of_others;
    HfProcess *processes;
    sd_event_source **sources;
    size_t n;
    size_t n_alive;
    sd_event_source *timer;
};

static void take_signal_round(HfFinalKill *leftovers);

static void forget(HfFinalKill *leftovers)
{
    for (size_t i = 0; i < leftovers->n; i++)
        sd_event_source_disable_unref(leftovers->sources[i]);
    free(leftovers->sources);
    leftovers->sources = NULL;
    hf_process_array_free(leftovers->processes, leftovers->n);
    leftovers->processes = NULL;
    leftovers->n = leftovers->n_alive = 0;
}

HfFinalKill *hf_final_kill_free(HfFinalKill *leftovers)
{
    if (!leftovers)
        return NULL;
    forget(leftovers);
    sd_event_source_disable_unref(leftovers->timer);
    free(leftovers);
    return NULL;
}

/* After an adoption what we are to end may be no descendant: in our unit it is ours all the same.
 */
static void keep_ours(HfProcess *processes, size_t *n, const pid_t *pids, size_t n_pids)
{
    size_t kept = 0;

    for (size_t i = 0; i < *n; i++)
        if (hf_own_unit_lists(pids, n_pids, processes[i].pid) ||
            hf_process_is_descendant(processes[i].pid))
            processes[kept++] = processes[i];
        else
            hf_process_clear(&processes[i]);
    *n = kept;
}

static int find_holders(const HfPlan *plan, HfProcess **ret, size_t *ret_n)
{
    HF_CLEANUP_FREE int *fds = calloc(plan->n_listeners + 1, sizeof(*fds));

    if (!fds)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_listeners; i++)
        fds[i] = plan->listeners[i]->fd;
    HF_CLEANUP_FREE pid_t *pids = NULL;
    size_t n_pids = 0;
    bool alone = hf_own_unit_processes(&pids, &n_pids) < 0 || n_pids == 0;
    int r = hf_process_socket_holders(fds, plan->n_listeners, alone, ret, ret_n);
    if (r >= 0 && !alone)
        keep_ours(*ret, ret_n, pids, n_pids);
    return r;
}

/* A helper of ours, as the answerer or the user's command for an event, ends by itself. */
static bool is_helper(const HfSupervisor *supervisor, pid_t pid)
{
    HfProgram own;
    HfProgram program;

    HF_EACH_PART (supervisor, i, owns)
        if (supervisor->parts[i]->owns(supervisor->states[i], pid))
            return true;
    return hf_process_program(getpid(), &own) == 0 && hf_process_program(pid, &program) == 0 &&
           own.inode != 0 && hf_program_same(&program, &own);
}

/* With a container's first process the kernel kills all others, pid_namespaces(7). */
static bool ends_all(const HfFinalKill *leftovers)
{
    return getpid() == 1 || leftovers->supervisor->settings->kill_mode == HF_KILL_MODE_ALL;
}

static int look(HfFinalKill *leftovers)
{
    const HfPlan *plan = leftovers->supervisor->current;

    if (ends_all(leftovers))
        return hf_process_descendants(&leftovers->processes, &leftovers->n);
    return plan ? find_holders(plan, &leftovers->processes, &leftovers->n) : 0;
}

static void tell_of_others(HfFinalKill *leftovers, const HfText *others)
{
    if (others->length > 0 && !leftovers->told_of_others)
        hf_log(LOG_ERR, NULL, "of another user, cannot be signalled and is left behind: %s",
               hf_text_peek(others));
    leftovers->told_of_others = true;
}

/* What is to end and may be signalled. */
static int find(HfFinalKill *leftovers)
{
    HF_CLEANUP_TEXT HfText others = {0};
    size_t kept = 0;

    forget(leftovers);
    int r = look(leftovers);
    if (r < 0)
        return r;
    for (size_t i = 0; i < leftovers->n; i++) {
        HfProcess *process = &leftovers->processes[i];
        bool meant = !is_helper(leftovers->supervisor, process->pid);
        bool permitted = meant && hf_process_signal(process->pidfd, 0) != -EPERM;
        if (permitted) {
            leftovers->processes[kept++] = *process;
            continue;
        }
        if (meant && others.length == 0)
            hf_members_describe(process, 1, &others);
        hf_process_clear(process);
    }
    leftovers->n = kept;
    tell_of_others(leftovers, &others);
    return 0;
}

static int on_exit_of_one(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfFinalKill *leftovers = userdata;

    (void)fd;
    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (--leftovers->n_alive == 0)
        take_signal_round(leftovers); /* they may have had children */
    return 0;
}

static int watch(HfFinalKill *leftovers)
{
    leftovers->sources = calloc(leftovers->n, sizeof(sd_event_source *));
    if (!leftovers->sources)
        return -ENOMEM;
    for (size_t i = 0; i < leftovers->n; i++) {
        int r = sd_event_add_io(leftovers->supervisor->loop, &leftovers->sources[i],
                                leftovers->processes[i].pidfd, EPOLLIN, on_exit_of_one, leftovers);
        if (r < 0)
            return r;
    }
    leftovers->n_alive = leftovers->n;
    return 0;
}

static void end(HfFinalKill *leftovers)
{
    hf_supervisor_end(leftovers->supervisor, leftovers->status);
}

static void tell(HfFinalKill *leftovers)
{
    HF_CLEANUP_TEXT HfText text = {0};

    if (leftovers->told == leftovers->signal)
        return;
    leftovers->told = leftovers->signal;
    hf_members_describe(leftovers->processes, leftovers->n, &text);
    hf_log(LOG_WARNING, NULL, "left in the background%s and sent SIG%s: %s",
           ends_all(leftovers) ? "" : ", still holding a listener,",
           sigabbrev_np(leftovers->signal), hf_text_peek(&text));
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfFinalKill *leftovers = userdata;

    (void)usec;
    leftovers->signal = SIGKILL;
    if (leftovers->kills++ < KILLS_MAX) {
        sd_event_source_set_time_relative(source,
                                          leftovers->supervisor->machine.limits.kill_interval);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        take_signal_round(leftovers);
        return 0;
    }
    HF_CLEANUP_TEXT HfText text = {0};
    hf_members_describe(leftovers->processes, leftovers->n, &text);
    hf_log(LOG_ERR, NULL, "holdfast ends without what does not end: %s", hf_text_peek(&text));
    end(leftovers);
    return 0;
}

/* Each is signalled, also who was before; ends the loop when there is none. */
static void take_signal_round(HfFinalKill *leftovers)
{
    int r = find(leftovers);

    if (r >= 0 && leftovers->n > 0) {
        tell(leftovers);
        r = watch(leftovers);
        for (size_t i = 0; i < leftovers->n; i++)
            hf_process_signal(leftovers->processes[i].pidfd, leftovers->signal);
    }
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "what the service left behind cannot be looked at, it is left");
    }
    if (r < 0 || leftovers->n == 0)
        end(leftovers);
}

void hf_final_kill_hurry(HfFinalKill *leftovers)
{
    if (leftovers)
        sd_event_source_set_time_relative(leftovers->timer, 0);
}

void hf_final_kill_end(HfSupervisor *supervisor, int status)
{
    const HfMachineLimits *limits = &supervisor->machine.limits;
    HfFinalKill *leftovers = calloc(1, sizeof(*leftovers));

    if (!leftovers) {
        hf_supervisor_end(supervisor, status);
        return;
    }
    supervisor->leftovers = leftovers;
    *leftovers = (HfFinalKill){
        .supervisor = supervisor,
        .status = status,
        .signal = supervisor->machine.hurry == HF_STAGE_KILL ? SIGKILL : SIGTERM,
    };
    if (sd_event_add_time_relative(supervisor->loop, &leftovers->timer, CLOCK_MONOTONIC,
                                   limits->term_timeout, 0, on_timer, leftovers) < 0) {
        end(leftovers);
        return;
    }
    take_signal_round(leftovers);
}
