/* SPDX-License-Identifier: MIT */
/* One step: an event changes the stage of a generation, and that moves the replacement. */
#include <assert.h>
#include <string.h>

#include "policy/machine_parts.h"

/* ---- stops ---- */

static void stop_because(HfMachine *machine, HfStopReason reason, int status, HfActions *actions)
{
    machine->stop = reason;
    machine->status = status;
    hf_machine_move(machine, HF_MOVE_STOP, actions);
}

/* The service goes on for a while (--stop-delay), unless a stop is requested twice: a signal after
 * the delay hurries as well. */
static void ask_to_stop(HfMachine *machine, HfStopReason reason, HfActions *actions)
{
    HfStopWait waited = machine->wait;

    if (hf_machine_stops(machine)) {
        hf_machine_move(machine, HF_MOVE_STOP, actions);
        return;
    }
    if (waited == HF_WAIT_NONE && hf_machine_has(machine, HF_STAGE_ACTIVE)) {
        uint64_t delay = machine->limits.stop_delay;
        machine->stop = reason;
        machine->wait = delay > 0 ? HF_WAIT_DELAY : HF_WAIT_QUEUE;
        if (delay > 0)
            hf_machine_report_plainly(actions, HF_REPORT_DELAYED)->usec = delay;
        return;
    }
    stop_because(machine, waited == HF_WAIT_NONE ? reason : machine->stop, 0, actions);
    if (waited == HF_WAIT_QUEUE && reason == HF_REASON_SIGNAL &&
        machine->phase == HF_PHASE_STOPPING)
        hf_machine_move(machine, HF_MOVE_STOP, actions);
}

static void on_stop_waited(HfMachine *machine, HfActions *actions)
{
    if (machine->wait == HF_WAIT_DELAY && hf_machine_has(machine, HF_STAGE_ACTIVE))
        machine->wait = HF_WAIT_QUEUE;
    else
        stop_because(machine, machine->stop, 0, actions);
}

/* ---- events of a generation ---- */

/* The youngest generation that has served and is settling, with its main process and before any
 * signal, or -1. */
static int find_settling(const HfMachine *machine)
{
    int found = -1;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        if (generation->stage == HF_STAGE_SETTLE && !generation->main_exited &&
            !generation->given_up &&
            (found < 0 || generation->number > machine->generations[found].number))
            found = (int)i;
    }
    return found;
}

/* Its slot may be free already. */
static void report_service_ended(const HfEvent *event, int status, HfActions *actions)
{
    HfAction *action = hf_machine_report_plainly(actions, HF_REPORT_SERVICE_ENDED);

    action->slot = event->slot;
    action->number = event->number;
    action->status = status;
}

/* The active generation of event is lost; status: how it ended, negative if it still runs. Its
 * predecessor, if that is still settling, goes on as if never replaced. */
static void lose_active(HfMachine *machine, const HfEvent *event, int status, HfActions *actions)
{
    int settling = find_settling(machine);

    if (settling >= 0) {
        if (machine->failures < UINT32_MAX)
            machine->failures++;
        machine->generations[settling].stage = HF_STAGE_ACTIVE;
        machine->recycled = false;
        hf_machine_switch(machine, (unsigned)settling, actions);
        hf_machine_report(actions, HF_REPORT_RESUMED, machine, (unsigned)settling);
        hf_machine_move(machine, HF_MOVE_FREED, actions);
    } else if (machine->limits.exit_with_service && hf_machine_find_new(machine) < 0) {
        if (status >= 0)
            report_service_ended(event, status, actions);
        stop_because(machine, HF_REASON_SERVICE, status, actions);
    } else if (machine->wait == HF_WAIT_QUEUE) { /* nobody accepts them any more */
        stop_because(machine, machine->stop, 0, actions);
    } else {
        hf_machine_move(machine, HF_MOVE_LOST, actions);
    }
}

/* A failed first start may end holdfast, as there may be no service at all; later failures are
 * retried. */
static void fail_start(HfMachine *machine, const HfEvent *event, int status, HfActions *actions)
{
    if (machine->takeover) {
        hf_machine_report_plainly(actions, HF_REPORT_TAKEOVER_FAILED);
        stop_because(machine, HF_REASON_TAKEOVER, 1, actions);
    } else if (machine->limits.exit_with_service && machine->cause == HF_CAUSE_START) {
        report_service_ended(event, status, actions);
        stop_because(machine, HF_REASON_SERVICE, status, actions);
    } else {
        hf_machine_move(machine, HF_MOVE_FAILED, actions);
    }
}

/* Frees the slot before the next start looks for one, so that no draining generation is hurried. */
static void release(HfMachine *machine, unsigned slot)
{
    hf_machine_leave_active(machine, slot);
    machine->generations[slot] = (HfMachineGeneration){0};
}

static void on_spawn_failed(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    HfStage was = machine->generations[event->slot].stage;

    if (was == HF_STAGE_TRIAL || was == HF_STAGE_ACTIVE || was == HF_STAGE_PARKED)
        return;
    hf_machine_report(actions, hf_machine_failure(machine), machine, event->slot);
    release(machine, event->slot);
    if (was == HF_STAGE_STARTING)
        fail_start(machine, event, event->status, actions);
    hf_machine_move(machine, HF_MOVE_FREED, actions);
}

/* Workers without their main process go on serving on their side while the next generation gets
 * ready on another; no predecessor needs to come back. */
static bool keep_serving(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    if (!event->remain || !machine->switches || !machine->limits.retires ||
        machine->limits.exit_with_service)
        return false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage == HF_STAGE_SETTLE)
            hf_machine_escalate_to(machine, i, HF_STAGE_STOP, actions);
    hf_machine_move(machine, HF_MOVE_LOST, actions);
    return true;
}

static void on_main_exited(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[event->slot];
    HfStage stage = generation->stage;

    if (generation->main_exited)
        return;
    generation->main_exited = true;
    if (hf_stage_is_new(stage) || stage == HF_STAGE_ACTIVE) {
        bool fails = stage != HF_STAGE_ACTIVE;
        hf_machine_report(actions, fails ? hf_machine_failure(machine) : HF_REPORT_CRASHED, machine,
                          event->slot);
        if (!fails && keep_serving(machine, event, actions))
            return;
        /* its remaining processes may serve, and are asked to leave */
        hf_machine_enter(machine, event->slot, HF_STAGE_STOP, actions);
        (fails ? fail_start : lose_active)(machine, event, event->status, actions);
    } else { /* its remaining processes may never have got the stop signal */
        if (machine->stop == HF_REASON_SERVICE && machine->status < 0)
            machine->status = event->status;
        if (stage < HF_STAGE_STOP)
            hf_machine_enter(machine, event->slot, HF_STAGE_STOP, actions);
        else
            hf_machine_add_for(actions, HF_ACTION_SIGNAL, machine, event->slot)->stage = stage;
    }
}

static void on_leaving(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    unsigned slot = event->slot;
    bool fails = machine->generations[slot].stage == HF_STAGE_TRIAL;

    if (!fails && (machine->generations[slot].stage != HF_STAGE_ACTIVE ||
                   machine->generations[slot].main_exited))
        return;
    hf_machine_report(actions, fails ? hf_machine_failure(machine) : HF_REPORT_LEAVING, machine,
                      slot);
    hf_machine_expect_leave(machine, slot);
    (fails ? fail_start : lose_active)(machine, event, -1, actions);
}

static void on_gone(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    HfStage was = machine->generations[event->slot].stage;

    if (hf_stage_is_new(was))
        hf_machine_report(actions, hf_machine_failure(machine), machine, event->slot);
    else if (was == HF_STAGE_ACTIVE && !machine->generations[event->slot].main_exited)
        hf_machine_report(actions, HF_REPORT_CRASHED, machine, event->slot);
    hf_machine_report(actions, HF_REPORT_GONE, machine, event->slot);
    release(machine, event->slot);
    if (hf_stage_is_new(was))
        fail_start(machine, event, event->status, actions);
    else if (was == HF_STAGE_ACTIVE)
        lose_active(machine, event, event->status, actions);
    hf_machine_move(machine, HF_MOVE_FREED, actions);
}

static void on_deadline(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    unsigned slot = event->slot;
    HfStage stage = machine->generations[slot].stage;

    if (!hf_stage_is_new(stage)) {
        hf_machine_escalate(machine, slot, actions);
        return;
    }
    HfAction *action = hf_machine_report(actions, hf_machine_failure(machine), machine, slot);
    action->timed_out = true;
    action->usec = hf_machine_limit(machine, slot);
    hf_machine_enter(machine, slot, stage == HF_STAGE_STARTING ? HF_STAGE_TERM : HF_STAGE_STOP,
                     actions);
    fail_start(machine, event, 1, actions);
}

/* The event's generation is on trial, or was to be. */
static void on_tried(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    if (event->passed) {
        hf_machine_move(machine, HF_MOVE_PASSED, actions);
        return;
    }
    hf_machine_report(actions, hf_machine_failure(machine), machine, event->slot)->trial = true;
    hf_machine_enter(machine, event->slot, HF_STAGE_STOP, actions);
    hf_machine_move(machine, HF_MOVE_FAILED, actions);
}

static void on_probed(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    if (!machine->probing || machine->generations[event->slot].stage != HF_STAGE_ACTIVE)
        return;
    machine->probing = false;
    if (hf_machine_probed(machine, event->slot, event->verdict, actions))
        hf_machine_move(machine, HF_MOVE_ILL, actions);
}

/* ---- other events ---- */

static void on_timer(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    switch (event->timer) {
    case HF_TIMER_DEADLINE:
        on_deadline(machine, event, actions);
        break;
    case HF_TIMER_RESPAWN:
        hf_machine_move(machine, HF_MOVE_DUE, actions);
        break;
    case HF_TIMER_STABLE:
        machine->failures = 0;
        break;
    case HF_TIMER_BUSY:
        machine->overdue = true;
        break;
    case HF_TIMER_PROBE:
        machine->probing = true;
        hf_machine_add_for(actions, HF_ACTION_PROBE, machine,
                           (unsigned)hf_machine_find(machine, HF_STAGE_ACTIVE));
        break;
    case HF_TIMER_RECYCLE: /* the current replacement replaces it anyway */
        machine->recycled = true;
        hf_machine_move(machine, HF_MOVE_AGED, actions);
        break;
    case HF_TIMER_STOP:
        on_stop_waited(machine, actions);
        break;
    case HF_TIMER_MAX_:
    default:
        assert(false);
    }
}

static void answer_event(const HfEvent *event, HfOutcome outcome, HfActions *actions)
{
    if (event->id != 0)
        hf_machine_answer(&(HfMachineRequest){.id = event->id}, outcome, actions);
}

static void on_request(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    bool stops = hf_machine_stops(machine);

    if (event->request == HF_REQUEST_ROLLBACK) {
        bool parked = hf_machine_has(machine, HF_STAGE_PARKED);
        hf_machine_move(machine, HF_MOVE_ROLLBACK, actions);
        answer_event(event,
                     stops    ? HF_OUTCOME_STOPPING
                     : parked ? HF_OUTCOME_DONE
                              : HF_OUTCOME_NOT_PARKED,
                     actions);
        return;
    }
    if (event->request == HF_REQUEST_STOP) {
        if (machine->phase == HF_PHASE_ENDED) {
            answer_event(event, HF_OUTCOME_DONE, actions);
            return;
        }
        if (!stops)
            ask_to_stop(machine, HF_REASON_REQUEST, actions);
        if (!hf_machine_stops(machine) && event->id != 0 && !hf_machine_has_room(machine))
            ask_to_stop(machine, HF_REASON_REQUEST, actions); /* answers all other callers */
        hf_machine_enqueue(machine, event, actions);
        return;
    }
    bool upgrades = event->request == HF_REQUEST_UPGRADE;
    if (stops || (upgrades && machine->wait != HF_WAIT_NONE)) {
        answer_event(event, HF_OUTCOME_STOPPING, actions);
        return;
    }
    if (!hf_machine_enqueue(machine, event, actions))
        return;
    if (upgrades) {
        if (machine->upgrade == HF_UPGRADE_NONE)
            machine->upgrade = HF_UPGRADE_WANTED;
        return;
    }
    if (event->request > machine->pending)
        machine->pending = event->request;
    hf_machine_move(machine, HF_MOVE_WISHED, actions);
}

static void on_reopen(HfMachine *machine, HfActions *actions)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfMachineGeneration *generation = &machine->generations[i];
        if (generation->stage == HF_STAGE_STARTING)
            generation->reopen = true;
        else if (generation->stage != HF_STAGE_EMPTY && !generation->main_exited)
            hf_machine_add_for(actions, HF_ACTION_REOPEN, machine, i);
    }
}

/* ---- the step ---- */

static bool is_of_generation(const HfEvent *event)
{
    return (event->type >= HF_EVENT_SPAWN_FAILED && event->type < HF_EVENT_MAX_) ||
           (event->type == HF_EVENT_TIMER && event->timer == HF_TIMER_DEADLINE);
}

static void on_generation(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    HfStage stage = machine->generations[event->slot].stage;

    switch ((int)event->type) {
    case HF_EVENT_SPAWN_FAILED:
        on_spawn_failed(machine, event, actions);
        break;
    case HF_EVENT_READY:
        if (stage == HF_STAGE_STARTING)
            hf_machine_move(machine, HF_MOVE_READY, actions);
        break;
    case HF_EVENT_MAIN_EXITED:
        on_main_exited(machine, event, actions);
        break;
    case HF_EVENT_GONE:
        on_gone(machine, event, actions);
        break;
    case HF_EVENT_RETIRED:
        if (stage == HF_STAGE_RETIRE)
            hf_machine_enter(machine, event->slot, HF_STAGE_STOP, actions);
        break;
    case HF_EVENT_EXTEND:
        hf_machine_extend(machine, event->slot, event->usec, actions);
        break;
    case HF_EVENT_PROBED:
        on_probed(machine, event, actions);
        break;
    case HF_EVENT_OVERSIZE:
        if (stage == HF_STAGE_ACTIVE)
            hf_machine_move(machine, HF_MOVE_AGED, actions);
        break;
    case HF_EVENT_LEAVING:
        on_leaving(machine, event, actions);
        break;
    case HF_EVENT_TRIED:
        on_tried(machine, event, actions);
        break;
    case HF_EVENT_SIDE_EMPTY:
        hf_machine_escalate(machine, event->slot, actions);
        break;
    default: /* TIMER */
        on_timer(machine, event, actions);
        break;
    }
    if (stage == HF_STAGE_SETTLE && event->type != HF_EVENT_GONE &&
        machine->generations[event->slot].stage != HF_STAGE_SETTLE)
        hf_machine_move(machine, HF_MOVE_FREED, actions);
}

static void on_event(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    switch ((int)event->type) {
    case HF_EVENT_START:
        hf_machine_move(machine, HF_MOVE_BEGIN, actions);
        break;
    case HF_EVENT_PREPARED:
        if (machine->phase == HF_PHASE_PREPARING) {
            machine->takeover = event->takeover && !machine->planned;
            machine->switches_next = event->switches;
        }
        hf_machine_move(machine, HF_MOVE_PREPARED, actions);
        break;
    case HF_EVENT_UNBLOCKED:
        hf_machine_move(machine, HF_MOVE_UNBLOCKED, actions);
        break;
    case HF_EVENT_PREPARE_FAILED:
        hf_machine_move(machine, HF_MOVE_REFUSED, actions);
        break;
    case HF_EVENT_TIMER:
        on_timer(machine, event, actions);
        break;
    case HF_EVENT_REQUEST:
        on_request(machine, event, actions);
        break;
    case HF_EVENT_STOP_SIGNAL:
        ask_to_stop(machine, HF_REASON_SIGNAL, actions);
        break;
    case HF_EVENT_QUEUE_SERVED:
        on_stop_waited(machine, actions);
        break;
    case HF_EVENT_ENDED:
        hf_machine_move(machine, HF_MOVE_OVER, actions);
        break;
    case HF_EVENT_REOPEN:
        on_reopen(machine, actions);
        break;
    case HF_EVENT_FALLBACK_GONE: /* retried after the usual time */
        machine->overdue = false;
        break;
    case HF_EVENT_UPGRADE_TESTED:
        hf_machine_upgrade_tested(machine, actions);
        break;
    case HF_EVENT_UPGRADE_FAILED:
        hf_machine_upgrade_failed(machine, actions);
        break;
    default:
        assert(false);
    }
}

/* It is ready, but what it was started for has gone. */
static bool fails_early(const HfMachine *machine, const HfEvent *event)
{
    const HfMachineGeneration *generation = &machine->generations[event->slot];

    return !event->passed && generation->stage == HF_STAGE_STARTING &&
           generation->side != machine->side;
}

/* Removes from before what the event has ended outside. Returns false if there was nothing to end:
 * the event is too late. */
static bool consume(const HfMachine *machine, const HfEvent *event, HfOutputs *before)
{
    bool *lasted = NULL;
    uint64_t *timer;

    if (is_of_generation(event) && (machine->generations[event->slot].stage == HF_STAGE_EMPTY ||
                                    machine->generations[event->slot].number != event->number))
        return false;
    if (event->type == HF_EVENT_FALLBACK_GONE)
        lasted = &before->fallback;
    else if (event->type == HF_EVENT_QUEUE_SERVED)
        lasted = &before->queue;
    else if (event->type == HF_EVENT_TRIED && !fails_early(machine, event))
        lasted = &before->slots[event->slot].tried;
    else if (event->type == HF_EVENT_SIDE_EMPTY)
        lasted = &before->slots[event->slot].watched;
    else if (event->type == HF_EVENT_TIMER && event->timer == HF_TIMER_DEADLINE)
        lasted = &before->slots[event->slot].deadline;
    if (lasted) {
        bool was = *lasted;
        *lasted = false;
        return was;
    }
    if (event->type != HF_EVENT_TIMER)
        return true;
    timer = &before->timers[event->timer];
    if (*timer == 0)
        return false;
    *timer = 0;
    return true;
}

/* Of another program's outputs only sockets and processes are left. */
static void outlive(HfOutputs *before)
{
    before->fallback = before->queue = false;
    memset(before->timers, 0, sizeof(before->timers));
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        before->slots[i].deadline = before->slots[i].watched = before->slots[i].tried = false;
}

void hf_machine_init(HfMachine *machine, const HfMachineLimits *limits)
{
    assert(limits->max_draining >= 1 && limits->max_draining <= HF_MACHINE_DRAINING_MAX);
    memset(machine, 0, sizeof(*machine));
    machine->limits = machine->next = machine->before = *limits;
}

void hf_machine_offer(HfMachine *machine, const HfMachineLimits *limits)
{
    assert(limits->max_draining >= 1 && limits->max_draining <= HF_MACHINE_DRAINING_MAX);
    assert(machine->phase == HF_PHASE_PREPARING);
    machine->next = *limits;
}

void hf_machine_step(HfMachine *machine, const HfEvent *event, HfActions *ret)
{
    HfOutputs before;

    ret->n = ret->n_moves = 0;
    assert(event->slot < HF_MACHINE_SLOTS);
    hf_machine_outputs(machine, &before);
    if (event->type == HF_EVENT_RESUME || event->type == HF_EVENT_ADOPT) {
        bool resumes = event->type == HF_EVENT_RESUME;
        if (!(resumes ? hf_machine_resume : hf_machine_adopt)(machine, ret))
            return;
        outlive(&before);
    } else {
        if (!consume(machine, event, &before))
            return;
        (is_of_generation(event) ? on_generation : on_event)(machine, event, ret);
    }
    hf_machine_settle_outage(machine, ret);
    hf_machine_settle_upgrade(machine, ret);
    hf_machine_put_out(machine, &before, ret);
}
