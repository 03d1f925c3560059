/* SPDX-License-Identifier: MIT */
/* The part: remaining holders of a listener or, with kill_mode all or as process 1, all descendants
 * are asked to leave, then killed (TERM, then KILL, see process_set.h); a further stop signal kills
 * at once. */
#include "parts.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "kernel/cgroup.h"
#include "loop/cgroups.h"
#include "loop/process_set.h"
#include "run/supervisor.h"

typedef struct HfFinalKill {
    HfSupervisor *supervisor;
    int status;
    HfHeldSockets sockets;
    char *unit;        /* our own cgroup, NULL: only descendants count */
    HfProcessSet *set; /* NULL until the end */
} HfFinalKill;

/* Our helpers, such as the answerer or the user's command for an event, end by themselves. */
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

static void end_remains(HfFinalKill *left, int status)
{
    bool hurried = left->supervisor->machine.stop_stage == HF_STAGE_KILL;
    const HfEscalation escalation = {
        .first = hurried ? SIGKILL : SIGTERM,
        .patience = hurried ? HF_KILL_INTERVAL : HF_TERM_TIMEOUT,
    };
    const HfProcessSetSpec spec = {
        .loop = left->supervisor->loop,
        .match = is_left,
        .wanted = left,
        .who = "the service",
        .told = ends_all(left) ? "left in the background and"
                               : "left in the background, still holding a listener, and",
        .gone = on_all_gone,
        .userdata = left,
    };

    left->status = status;
    int r = find_sockets(left);
    if (r >= 0)
        r = hf_process_set_new(&spec, &left->set);
    if (r >= 0) {
        hf_process_set_end(left->set, &escalation);
        return;
    }
    hf_log(LOG_ERR, &(HfLogFields){.error = r},
           "what the service left behind cannot be examined, and is left alone");
    hf_supervisor_end(left->supervisor, status);
}

static void final_kill_performed(void *state, const HfAction *action)
{
    HfFinalKill *left = state;

    if (action->type == HF_ACTION_END)
        end_remains(left, action->status);
    else if (action->type == HF_ACTION_ESCALATE && left->set)
        hf_process_set_escalate(left->set);
}

static void final_kill_detach(void *state)
{
    HfFinalKill *left = state;

    left->set = hf_process_set_free(left->set);
    hf_held_sockets_clear(&left->sockets);
    free(left->unit);
    left->unit = NULL;
}

const HfPart hf_part_final_kill = {
    .name = "final_kill",
    .state_size = sizeof(HfFinalKill),
    .performed = final_kill_performed,
    .detach = final_kill_detach,
};
