/* SPDX-License-Identifier: MIT */
/* The outputs that follow from a state, and the actions for those that have changed. */
#include "policy/backoff.h"
#include "policy/machine_parts.h"

/* ---- what follows from the state ---- */

void hf_machine_settle_outage(HfMachine *machine, HfActions *actions)
{
    if (!hf_machine_is_unserved(machine)) {
        machine->overdue = false;
        if (machine->outage && !hf_machine_stops(machine))
            hf_machine_report(actions, HF_REPORT_RECOVERED, machine,
                              (unsigned)hf_machine_find(machine, HF_STAGE_ACTIVE));
        machine->outage = false;
    } else if (machine->overdue && !machine->outage) {
        machine->outage = true;
        HfAction *action = hf_machine_add(actions, HF_ACTION_REPORT);
        action->report = HF_REPORT_OUTAGE;
        action->usec = machine->limits.busy_after;
    }
}

/* Gives each timer what it is armed for, so that it is armed anew for another generation or wait.
 */
static void timer_outputs(const HfMachine *machine, bool unserved, HfOutputs *ret)
{
    const HfMachineLimits *limits = &machine->limits;
    int slot = hf_machine_find(machine, HF_STAGE_ACTIVE);
    uint64_t active = slot >= 0 ? machine->generations[slot].number : 0;
    uint64_t *timers = ret->timers;

    timers[HF_TIMER_RESPAWN] = machine->phase == HF_PHASE_BACKOFF;
    timers[HF_TIMER_BUSY] = unserved && limits->busy_after != HF_USEC_INFINITY && !machine->overdue;
    timers[HF_TIMER_STABLE] = machine->failures > 0 && hf_machine_is_whole(machine) ? active : 0;
    timers[HF_TIMER_PROBE] = limits->probe_every > 0 && !machine->probing ? active : 0;
    timers[HF_TIMER_RECYCLE] = limits->recycle_every > 0 && !machine->recycled ? active : 0;
    timers[HF_TIMER_STOP] = machine->wait;
}

void hf_machine_outputs(const HfMachine *machine, HfOutputs *ret)
{
    bool unserved = hf_machine_is_unserved(machine);

    *ret = (HfOutputs){
        .phase = machine->phase,
        .backlog = unserved, /* without a generation that accepts, callers have only the queue */
        .fallback = unserved && machine->overdue && machine->planned,
        .queue = machine->wait == HF_WAIT_QUEUE,
    };
    timer_outputs(machine, unserved, ret);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        ret->slots[i].number = generation->number;
        ret->slots[i].stage = generation->stage;
        ret->slots[i].deadline = hf_machine_is_limited(generation->stage);
        ret->slots[i].watched = hf_machine_leaves_side(machine, i);
        ret->slots[i].tried = generation->stage == HF_STAGE_TRIAL;
    }
}

/* ---- what has changed ---- */

static uint64_t timer_usec(const HfMachine *machine, HfTimer timer)
{
    const HfMachineLimits *limits = &machine->limits;
    const uint64_t usecs[] = {
        [HF_TIMER_RESPAWN] =
            hf_backoff_delay(machine->failures > 2 ? machine->failures : 2, limits->backoff_max),
        [HF_TIMER_STABLE] = limits->stable_time,
        [HF_TIMER_BUSY] = limits->busy_after,
        [HF_TIMER_PROBE] = limits->probe_every,
        [HF_TIMER_RECYCLE] = limits->recycle_every,
        /* half of the time that requests have; the rest is for those accepted last */
        [HF_TIMER_STOP] =
            machine->wait == HF_WAIT_DELAY ? limits->stop_delay : limits->drain_timeout / 2,
    };

    return usecs[timer];
}

static void put_out_timers(const HfMachine *machine, const uint64_t *before, const uint64_t *after,
                           bool arm, HfActions *actions)
{
    for (HfTimer timer = HF_TIMER_DEADLINE + 1; timer < HF_TIMER_MAX_; timer++) {
        if (before[timer] == after[timer])
            continue;
        if (!arm && before[timer] != 0)
            hf_machine_add(actions, HF_ACTION_DISARM)->timer = timer;
        if (!arm || after[timer] == 0)
            continue;
        HfAction *action = hf_machine_add(actions, HF_ACTION_ARM);
        action->timer = timer;
        action->usec = timer_usec(machine, timer);
        action->spread = timer == HF_TIMER_RESPAWN || timer == HF_TIMER_RECYCLE;
    }
}

/* A deadline that is set anew is not disarmed first. */
static void put_out_deadline(const HfMachine *machine, unsigned slot, const HfOutputs *before,
                             const HfOutputs *after, bool arm, HfActions *actions)
{
    HfStage stage = after->slots[slot].stage;
    bool same = before->slots[slot].number == after->slots[slot].number;
    bool was = same && before->slots[slot].deadline;
    bool is = after->slots[slot].deadline;

    if (arm && is && !(was && before->slots[slot].stage == stage)) {
        HfAction *action = hf_machine_add_for(actions, HF_ACTION_ARM, machine, slot);
        action->timer = HF_TIMER_DEADLINE;
        action->usec = hf_machine_limit(machine, slot);
    } else if (!arm && was && !is) {
        hf_machine_add_for(actions, HF_ACTION_DISARM, machine, slot)->timer = HF_TIMER_DEADLINE;
    }
}

static void forget(unsigned slot, const HfOutputs *before, const HfOutputs *after,
                   HfActions *actions)
{
    uint64_t number = before->slots[slot].number;

    if (number == 0 || number == after->slots[slot].number)
        return;
    if (before->slots[slot].deadline) {
        HfAction *disarm = hf_machine_add(actions, HF_ACTION_DISARM);
        disarm->timer = HF_TIMER_DEADLINE;
        disarm->slot = slot;
        disarm->number = number;
    }
    HfAction *action = hf_machine_add(actions, HF_ACTION_FORGET);
    action->slot = slot;
    action->number = number;
}

static void spawn(const HfMachine *machine, unsigned slot, const HfOutputs *before,
                  const HfOutputs *after, HfActions *actions)
{
    if (after->slots[slot].stage != HF_STAGE_STARTING ||
        after->slots[slot].number == before->slots[slot].number)
        return;
    HfAction *action = hf_machine_add_for(actions, HF_ACTION_SPAWN, machine, slot);
    action->cause = machine->cause;
    action->side = machine->generations[slot].side;
    action->prepared = machine->prepared;
}

/* The actions that last as long as a generation is in a stage. */
static void put_out_care(const HfOutputs *before, const HfOutputs *after, bool to,
                         HfActions *actions)
{
    const HfOutputs *of = to ? after : before;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const bool was[] = {before->slots[i].tried, before->slots[i].watched};
        const bool is[] = {after->slots[i].tried, after->slots[i].watched};
        for (unsigned j = 0; j < 2; j++) {
            if (was[j] == is[j] || is[j] != to)
                continue; /* on entering the stage the slot was empty before */
            HfAction *action =
                hf_machine_add(actions, j == 0 ? HF_ACTION_TRIAL : HF_ACTION_WATCH_SIDE);
            action->slot = i;
            action->number = of->slots[i].number;
            action->raised = to;
        }
    }
}

static void put_out_flag(HfActionType type, bool before, bool after, bool to, HfActions *actions)
{
    if (before != after && after == to)
        hf_machine_add(actions, type)->raised = to;
}

void hf_machine_put_out(const HfMachine *machine, const HfOutputs *before, HfActions *actions)
{
    HfOutputs after;

    hf_machine_outputs(machine, &after);
    put_out_care(before, &after, false, actions);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        forget(i, before, &after, actions);
    put_out_flag(HF_ACTION_FALLBACK, before->fallback, after.fallback, false, actions);
    put_out_flag(HF_ACTION_WATCH_QUEUE, before->queue, after.queue, false, actions);
    if (before->backlog != after.backlog)
        hf_machine_add(actions, HF_ACTION_BACKLOG)->raised = after.backlog;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        put_out_deadline(machine, i, before, &after, false, actions);
    put_out_timers(machine, before->timers, after.timers, false, actions);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        spawn(machine, i, before, &after, actions);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        put_out_deadline(machine, i, before, &after, true, actions);
    put_out_timers(machine, before->timers, after.timers, true, actions);
    put_out_flag(HF_ACTION_FALLBACK, before->fallback, after.fallback, true, actions);
    put_out_flag(HF_ACTION_WATCH_QUEUE, before->queue, after.queue, true, actions);
    put_out_care(before, &after, true, actions);
    if (before->phase == after.phase)
        return;
    int status = machine->status > 0 ? machine->status : 0;
    if (after.phase == HF_PHASE_ENDING)
        hf_machine_add(actions, HF_ACTION_END)->status = status;
    if (after.phase == HF_PHASE_ENDED)
        hf_machine_add(actions, HF_ACTION_EXIT)->status = status;
}
