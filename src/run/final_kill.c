#include "run/final_kill.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/cgroup.h"
#include "loop/cgroups.h"
#include "loop/process_set.h"

struct HfFinalKill {
    HfSupervisor *supervisor;
    int status;
    HfHeldSockets sockets;
    char *unit; /* our own cgroup, NULL: only descendants are ours */
    HfProcessSet *set;
};

HfFinalKill *hf_final_kill_free(HfFinalKill *leftovers)
{
    if (!leftovers)
        return NULL;
    hf_process_set_free(leftovers->set);
    hf_held_sockets_clear(&leftovers->sockets);
    free(leftovers->unit);
    free(leftovers);
    return NULL;
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

/* After an adoption what we are to end may be no descendant: in our unit it is ours all the same.
 */
static int is_left(pid_t pid, const void *wanted)
{
    const HfFinalKill *leftovers = wanted;

    int r = hf_process_is_descendant(pid, NULL);
    if (ends_all(leftovers) && r <= 0)
        return r;
    if (r == 0 && leftovers->unit)
        r = hf_cgroup_holds(leftovers->unit, pid);
    if (r > 0 && !ends_all(leftovers))
        r = hf_process_is_holder(pid, &leftovers->sockets);
    return r > 0 ? !is_helper(leftovers->supervisor, pid) : r;
}

static void on_all_gone(void *userdata)
{
    const HfFinalKill *leftovers = userdata;

    hf_supervisor_end(leftovers->supervisor, leftovers->status);
}

static int find_sockets(HfFinalKill *leftovers)
{
    const HfPlan *plan = leftovers->supervisor->current;
    size_t n = plan ? plan->n_listeners : 0;
    HF_CLEANUP_FREE int *fds = calloc(n + 1, sizeof(*fds));

    if (!fds)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        fds[i] = plan->listeners[i]->fd;
    int r = hf_held_sockets_identify(fds, n, &leftovers->sockets);
    return r < 0 ? r : hf_own_unit_cgroup(&leftovers->unit);
}

void hf_final_kill_hurry(HfFinalKill *leftovers)
{
    if (leftovers && leftovers->set)
        hf_process_set_hurry(leftovers->set);
}

void hf_final_kill_end(HfSupervisor *supervisor, int status)
{
    HfFinalKill *leftovers = calloc(1, sizeof(*leftovers));
    bool hurried = supervisor->machine.hurry == HF_STAGE_KILL;
    int r = -ENOMEM;

    if (leftovers) {
        supervisor->leftovers = leftovers;
        *leftovers = (HfFinalKill){.supervisor = supervisor, .status = status};
        const HfProcessSetSpec spec = {
            .loop = supervisor->loop,
            .match = is_left,
            .wanted = leftovers,
            .who = "the service",
            .told = ends_all(leftovers) ? "left in the background and"
                                        : "left in the background, still holding a listener, and",
            .gone = on_all_gone,
            .userdata = leftovers,
        };
        r = find_sockets(leftovers);
        if (r >= 0)
            r = hf_process_set_new(&spec, &leftovers->set);
    }
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "what the service left behind cannot be looked at, it is left");
        hf_supervisor_end(supervisor, status);
        return;
    }
    const HfEscalation escalation = {
        .first = hurried ? SIGKILL : SIGTERM,
        .patience = hurried ? HF_KILL_INTERVAL : HF_TERM_TIMEOUT,
    };
    hf_process_set_end(leftovers->set, &escalation);
}
