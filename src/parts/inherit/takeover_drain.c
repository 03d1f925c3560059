/* SPDX-License-Identifier: MIT */
#include "parts/inherit/inherit_parts.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "loop/reaper.h"
#include "run/pid_file.h"
#include "run/supervisor.h"

/* ---- the processes that leave ---- */

/* The workers of a php-fpm, else those descended from the server that listen: our own generation
 * has the sockets as well by now. */
static int is_of_old_server(pid_t pid, const void *wanted)
{
    const HfTakeover *takeover = wanted;
    const HfFamily workers = {takeover->holder.pid, &takeover->program};
    HfProgram program;

    if (takeover->life.master)
        return hf_process_is_child(pid, &workers);
    if (hf_process_program(pid, &program) < 0 || !hf_program_same(&program, &takeover->program) ||
        hf_process_is_descendant(pid, NULL) > 0)
        return 0;
    return hf_process_is_holder(pid, &takeover->sockets);
}

static int identify_sockets(HfTakeover *takeover)
{
    hf_held_sockets_clear(&takeover->sockets);
    return hf_listener_identify(takeover->held, takeover->n_held, &takeover->sockets);
}

/* ---- the end ---- */

static void rebind_lost(const HfTakeover *takeover)
{
    bool lost = false;

    for (size_t i = 0; i < takeover->n_held; i++) {
        if (!hf_listener_is_lost(takeover->held[i]))
            continue;
        hf_log(LOG_WARNING, &(HfLogFields){.listener = takeover->held[i]->label},
               "%s removed %s as it left; it is bound anew by a reload", takeover->name,
               takeover->held[i]->label);
        lost = true;
    }
    if (lost)
        hf_supervisor_post(takeover->supervisor,
                           &(HfEvent){.type = HF_EVENT_REQUEST, .request = HF_REQUEST_RELOAD});
}

/* Nobody else will unlink them. */
static void own_sockets(HfTakeover *takeover)
{
    for (size_t i = 0; i < takeover->n_held; i++)
        takeover->held[i]->taken = false;
}

static void step_takeover(HfTakeover *takeover, HfTakeoverEvent event);

static void finish_takeover(HfTakeover *takeover)
{
    HfSupervisor *supervisor = takeover->supervisor;
    int active = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    hf_log(LOG_NOTICE, NULL, "taken over: %s (pid %d) has left, its %zu socket%s held here",
           takeover->name, (int)takeover->holder.pid, takeover->n_held,
           takeover->n_held == 1 ? " is" : "s are");
    own_sockets(takeover);
    rebind_lost(takeover);
    *takeover->place = NULL;
    hf_takeover_free(takeover);
    supervisor->taking_over = false;
    if (active >= 0)
        hf_pid_file_write(supervisor, supervisor->generations[active]->plan);
}

static void on_master_gone(void *userdata)
{
    step_takeover(userdata, HF_TAKEOVER_MASTER_GONE);
}

static void on_workers_gone(void *userdata)
{
    step_takeover(userdata, HF_TAKEOVER_WORKERS_GONE);
}

static int begin_set(HfTakeover *takeover, HfProcessMatch match, const void *wanted,
                     void (*gone)(void *userdata))
{
    HF_CLEANUP_TEXT HfText who = {0};

    hf_text_addf(&who, "%s (pid %d)", takeover->name, (int)takeover->holder.pid);
    hf_text_clear(&takeover->told);
    hf_text_addf(&takeover->told, "%s, the server taken over from, still has requests; it is",
                 hf_text_peek(&who));
    const HfProcessSetSpec spec = {
        .loop = takeover->supervisor->loop,
        .match = match,
        .wanted = wanted,
        .who = hf_text_peek(&who),
        .told = hf_text_peek(&takeover->told),
        .gone = gone,
        .userdata = takeover,
    };
    takeover->set = hf_process_set_free(takeover->set);
    return hf_process_set_new(&spec, &takeover->set);
}

/* A master that is asked to leave would unlink its paths; one that is killed cannot. */
static void kill_master(HfTakeover *takeover)
{
    const HfEscalation escalation = {
        .first = SIGKILL,
        .patience = HF_KILL_INTERVAL,
        .silent = true,
    };

    own_sockets(takeover);
    int r = hf_process_list_add(&takeover->master, takeover->holder.pid);
    if (r >= 0)
        r = begin_set(takeover, hf_process_is_listed, &takeover->master, on_master_gone);
    if (r >= 0) {
        hf_process_set_end(takeover->set, &escalation);
    } else {
        hf_process_signal(takeover->holder.pidfd, SIGKILL);
        step_takeover(takeover, HF_TAKEOVER_MASTER_GONE);
    }
}

static void ask_workers(HfTakeover *takeover)
{
    const HfEscalation escalation = {
        .first = takeover->life.master ? SIGQUIT : takeover->supervisor->current->stop_signal,
        .patience = takeover->supervisor->settings->drain_timeout,
        .pace = HF_PROCESS_PACE,
        .silent = true,
    };

    hf_log(LOG_NOTICE, NULL, "%s (pid %d) finishes its requests%s", takeover->name,
           (int)takeover->holder.pid,
           takeover->life.master ? "; meanwhile its master is stopped (SIGSTOP)" : "");
    int r = identify_sockets(takeover);
    if (r >= 0)
        r = begin_set(takeover, is_of_old_server, takeover, on_workers_gone);
    if (r >= 0) {
        hf_process_set_end(takeover->set, &escalation);
        return;
    }
    hf_log(LOG_ERR, &(HfLogFields){.error = r},
           "the processes of %s (pid %d) cannot be watched, and are left alone", takeover->name,
           (int)takeover->holder.pid);
    step_takeover(takeover, HF_TAKEOVER_FAILED);
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    step_takeover(userdata, HF_TAKEOVER_SETTLED);
    return 0;
}

static void arm_settling(HfTakeover *takeover)
{
    const HfSupervisor *supervisor = takeover->supervisor;
    uint64_t usec = supervisor->machine.limits.settle_time;

    takeover->timer = sd_event_source_disable_unref(takeover->timer);
    if (sd_event_add_time_relative(supervisor->loop, &takeover->timer, CLOCK_MONOTONIC, usec,
                                   HF_LOOP_ACCURACY(usec), on_settled, takeover) < 0)
        step_takeover(takeover, HF_TAKEOVER_SETTLED);
}

/* ---- life ---- */

static void log_lost(const HfTakeover *takeover, unsigned actions)
{
    if (actions & HF_TAKEOVER_DISARM)
        hf_log(LOG_WARNING, NULL,
               "no generation is active any more: %s (pid %d) is not asked to leave yet and goes "
               "on serving",
               takeover->name, (int)takeover->holder.pid);
    else if (actions & HF_TAKEOVER_SPARE)
        hf_log(
            LOG_WARNING, NULL,
            "no generation is active any more: no other process of %s (pid %d) is asked to leave%s",
            takeover->name, (int)takeover->holder.pid,
            actions & HF_TAKEOVER_CONTINUE ? ", its master is continued (SIGCONT)" : "");
}

/* At most one of the last four is set, as each may free the take-over, or step on. */
static void perform_takeover(HfTakeover *takeover, unsigned actions)
{
    if (actions & HF_TAKEOVER_DISARM)
        takeover->timer = sd_event_source_disable_unref(takeover->timer);
    if (actions & HF_TAKEOVER_FREEZE)
        hf_process_signal(takeover->holder.pidfd, SIGSTOP);
    if (actions & HF_TAKEOVER_SPARE)
        takeover->set = hf_process_set_free(takeover->set);
    if (actions & HF_TAKEOVER_CONTINUE)
        hf_process_signal(takeover->holder.pidfd, SIGCONT);
    if (actions & HF_TAKEOVER_ARM)
        arm_settling(takeover);
    else if (actions & HF_TAKEOVER_ASK)
        ask_workers(takeover);
    else if (actions & HF_TAKEOVER_KILL)
        kill_master(takeover);
    else if (actions & HF_TAKEOVER_FINISH)
        finish_takeover(takeover);
}

static void step_takeover(HfTakeover *takeover, HfTakeoverEvent event)
{
    unsigned actions = hf_takeover_step(&takeover->life, event);

    if (event == HF_TAKEOVER_LOST)
        log_lost(takeover, actions);
    perform_takeover(takeover, actions);
}

void hf_takeover_look(HfTakeover *takeover)
{
    bool active = hf_machine_find(&takeover->supervisor->machine, HF_STAGE_ACTIVE) >= 0;

    step_takeover(takeover, active ? HF_TAKEOVER_READY : HF_TAKEOVER_LOST);
}

HfTakeover *hf_takeover_stop(HfTakeover *takeover)
{
    if (takeover)
        step_takeover(takeover, HF_TAKEOVER_STOP);
    return hf_takeover_free(takeover);
}
