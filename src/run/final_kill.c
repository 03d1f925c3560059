/* SPDX-License-Identifier: MIT */
#include "run/final_kill.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/cgroup.h"
#include "loop/cgroups.h"
#include "loop/process_set.h"

struct HfFinalKill {
    HfSupervisor *supervisor;
    int status;
    HfHeldSockets sockets;
    char *unit; /* our own cgroup, NULL: only descendants count */
    HfProcessSet *set;
};

HfFinalKill *hf_final_kill_free(HfFinalKill *left)
{
    if (!left)
        return NULL;
    hf_process_set_free(left->set);
    hf_held_sockets_clear(&left->sockets);
    free(left->unit);
    free(left);
    return NULL;
}

/* Helpers of ours, such as the answerer or the user's command for an event, end by themselves. */
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

/* When a container's first process ends, the kernel kills all others, pid_namespaces(7). */
static bool ends_all(const HfFinalKill *left)
{
    return getpid() == 1 || left->supervisor->settings->kill_mode == HF_KILL_MODE_ALL;
}

/* After an adoption our processes may not be descendants: all those in our unit count. */
static int is_left(pid_t pid, const void *wanted)
{
    const HfFinalKill *left = wanted;

    int r = hf_process_is_descendant(pid, NULL);
    if (ends_all(left) && r <= 0)
        return r;
    if (r == 0 && left->unit)
        r = hf_cgroup_holds(left->unit, pid);
    if (r > 0 && !ends_all(left))
        r = hf_process_is_holder(pid, &left->sockets);
    return r > 0 ? !is_helper(left->supervisor, pid) : r;
}

static void on_all_gone(void *userdata)
{
    const HfFinalKill *left = userdata;

    hf_supervisor_end(left->supervisor, left->status);
}

static int find_sockets(HfFinalKill *left)
{
    const HfPlan *plan = left->supervisor->current;

    int r = hf_listener_identify(plan ? plan->listeners : NULL, plan ? plan->n_listeners : 0,
                                 &left->sockets);
    return r < 0 ? r : hf_own_unit_cgroup(&left->unit);
}

void hf_final_kill_escalate(HfFinalKill *left)
{
    if (left && left->set)
        hf_process_set_escalate(left->set);
}

void hf_final_kill_end(HfSupervisor *supervisor, int status)
{
    HfFinalKill *left = calloc(1, sizeof(*left));
    bool hurried = supervisor->machine.stop_stage == HF_STAGE_KILL;
    int r = -ENOMEM;

    if (left) {
        supervisor->final_kill = left;
        *left = (HfFinalKill){.supervisor = supervisor, .status = status};
        const HfProcessSetSpec spec = {
            .loop = supervisor->loop,
            .match = is_left,
            .wanted = left,
            .who = "the service",
            .told = ends_all(left) ? "left in the background and"
                                   : "left in the background, still holding a listener, and",
            .gone = on_all_gone,
            .userdata = left,
        };
        r = find_sockets(left);
        if (r >= 0)
            r = hf_process_set_new(&spec, &left->set);
    }
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields,
               "what the service left behind cannot be examined, and is left alone");
        hf_supervisor_end(supervisor, status);
        return;
    }
    const HfEscalation escalation = {
        .first = hurried ? SIGKILL : SIGTERM,
        .patience = hurried ? HF_KILL_INTERVAL : HF_TERM_TIMEOUT,
    };
    hf_process_set_end(left->set, &escalation);
}
