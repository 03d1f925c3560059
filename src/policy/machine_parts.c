/* SPDX-License-Identifier: MIT */
/* Parts of the machine: actions, slots, waiting callers, the stages of a generation's life, and the
 * health of the active one. */
#include <assert.h>
#include <stddef.h>

#include "policy/machine_parts.h"

/* ---- actions ---- */

HfAction *hf_machine_add(HfActions *actions, HfActionType type)
{
    assert(actions->n < HF_MACHINE_ACTIONS_MAX);
    HfAction *action = &actions->list[actions->n++];
    *action = (HfAction){.type = type};
    return action;
}

HfAction *hf_machine_add_for(HfActions *actions, HfActionType type, const HfMachine *machine,
                             unsigned slot)
{
    HfAction *action = hf_machine_add(actions, type);
    action->slot = slot;
    action->number = machine->generations[slot].number;
    return action;
}

HfAction *hf_machine_report(HfActions *actions, HfReport what, const HfMachine *machine,
                            unsigned slot)
{
    HfAction *action = hf_machine_add_for(actions, HF_ACTION_REPORT, machine, slot);
    action->report = what;
    action->cause = machine->cause;
    return action;
}

/* A report that is not about a generation. */
HfAction *hf_machine_report_plainly(HfActions *actions, HfReport what)
{
    HfAction *action = hf_machine_add(actions, HF_ACTION_REPORT);
    action->report = what;
    return action;
}

HfReport hf_machine_failure(const HfMachine *machine)
{
    return hf_machine_has(machine, HF_STAGE_ACTIVE) ? HF_REPORT_RELOAD_FAILED
                                                    : HF_REPORT_START_FAILED;
}

/* ---- slots ---- */

int hf_machine_find(const HfMachine *machine, HfStage stage)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage == stage)
            return (int)i;
    return -1;
}

int hf_machine_next_oldest(const HfMachine *machine, uint64_t number)
{
    int next = -1;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        if (generation->number > number &&
            (next < 0 || generation->number < machine->generations[next].number))
            next = (int)i;
    }
    return next;
}

int hf_machine_find_new(const HfMachine *machine)
{
    int starting = hf_machine_find(machine, HF_STAGE_STARTING);

    return starting >= 0 ? starting : hf_machine_find(machine, HF_STAGE_TRIAL);
}

unsigned hf_machine_count(const HfMachine *machine, HfStage stage)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        n += machine->generations[i].stage == stage;
    return n;
}

unsigned hf_machine_count_leaving(const HfMachine *machine)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        n += hf_stage_leaves(machine->generations[i].stage);
    return n;
}

bool hf_machine_has(const HfMachine *machine, HfStage stage)
{
    return hf_machine_find(machine, stage) >= 0;
}

bool hf_machine_is_whole(const HfMachine *machine)
{
    int slot = hf_machine_find(machine, HF_STAGE_ACTIVE);

    return slot >= 0 && !machine->generations[slot].main_exited;
}

bool hf_machine_is_unserved(const HfMachine *machine)
{
    return machine->phase != HF_PHASE_NEW && !hf_machine_stops(machine) &&
           hf_machine_find(machine, HF_STAGE_ACTIVE) < 0;
}

/* ---- requests ---- */

void hf_machine_answer(HfMachineRequest *request, HfOutcome outcome, HfActions *actions)
{
    HfAction *action = hf_machine_add(actions, HF_ACTION_ANSWER);
    action->id = request->id;
    action->outcome = outcome;
    *request = (HfMachineRequest){0};
}

void hf_machine_answer_running(HfMachine *machine, HfOutcome outcome, HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0 && !machine->requests[i].next)
            hf_machine_answer(&machine->requests[i], outcome, actions);
}

void hf_machine_answer_kind(HfMachine *machine, HfRequestKind kind, HfOutcome outcome,
                            HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0 && machine->requests[i].kind == kind)
            hf_machine_answer(&machine->requests[i], outcome, actions);
}

void hf_machine_move_requests(HfMachine *machine, bool next)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        machine->requests[i].next = next || machine->requests[i].kind > HF_REQUEST_RESTART;
}

bool hf_machine_has_room(const HfMachine *machine)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id == 0)
            return true;
    return false;
}

bool hf_machine_enqueue(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    if (event->id == 0)
        return true;
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++) {
        if (machine->requests[i].id != 0)
            continue;
        machine->requests[i] =
            (HfMachineRequest){.id = event->id, .kind = event->request, .next = true};
        return true;
    }
    hf_machine_answer(&(HfMachineRequest){.id = event->id}, HF_OUTCOME_BUSY, actions);
    return false;
}

/* ---- stages ---- */

#define LIMIT(name) offsetof(HfMachineLimits, name)

/* When the limit passes in STARTING or TRIAL, that start has also failed. */
static const struct {
    HfStage after; /* the stage that follows the limit; 0: none */
    bool limited;
    bool signals; /* entering it sends the signal of that name */
    size_t limit;
} stages[] = {
    [HF_STAGE_EMPTY] = {0},
    [HF_STAGE_STARTING] = {HF_STAGE_TERM, true, false, LIMIT(ready_timeout)},
    [HF_STAGE_TRIAL] = {HF_STAGE_STOP, true, false, LIMIT(trial_time)},
    [HF_STAGE_ACTIVE] = {0},
    [HF_STAGE_PARKED] = {HF_STAGE_STOP, true, false, LIMIT(park_time)},
    [HF_STAGE_SETTLE] = {HF_STAGE_RETIRE, true, false, LIMIT(settle_time)},
    [HF_STAGE_RETIRE] = {HF_STAGE_STOP, true, true, LIMIT(retire_time)},
    [HF_STAGE_STOP] = {HF_STAGE_TERM, true, true, LIMIT(drain_timeout)},
    [HF_STAGE_TERM] = {HF_STAGE_KILL, true, true, LIMIT(term_timeout)},
    [HF_STAGE_KILL] = {HF_STAGE_KILL, true, true, LIMIT(kill_interval)},
};
_Static_assert(sizeof(stages) / sizeof(*stages) == HF_STAGE_MAX_, "a row for each stage");

bool hf_machine_is_limited(HfStage stage)
{
    return stages[stage].limited;
}

bool hf_machine_leaves_side(const HfMachine *machine, unsigned slot)
{
    return machine->generations[slot].stage == HF_STAGE_SETTLE &&
           machine->generations[slot].side != machine->side;
}

/* Retiring is pointless where other generations are not affected, or without a main process. */
static HfStage next_stage(const HfMachine *machine, unsigned slot)
{
    return hf_machine_leaves_side(machine, slot) ? HF_STAGE_STOP
                                                 : stages[machine->generations[slot].stage].after;
}

/* A starting generation has the limit that it was prepared with. */
uint64_t hf_machine_limit(const HfMachine *machine, unsigned slot)
{
    HfStage stage = machine->generations[slot].stage;
    bool prepared = hf_stage_is_new(stage) && machine->prepared;
    const HfMachineLimits *limits = prepared ? &machine->next : &machine->limits;
    size_t limit = hf_machine_leaves_side(machine, slot) ? LIMIT(side_time) : stages[stage].limit;

    assert(stages[stage].limited);
    return *(const uint64_t *)((const char *)limits + limit);
}

void hf_machine_leave_active(HfMachine *machine, unsigned slot)
{
    if (machine->generations[slot].stage != HF_STAGE_ACTIVE)
        return;
    machine->probing = machine->recycled = false;
    machine->probed = HF_VERDICT_HEALTHY;
    machine->misses = 0;
}

void hf_machine_enter(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];
    HfStage was = generation->stage;

    hf_machine_leave_active(machine, slot);
    if (was == HF_STAGE_STARTING)
        generation->extensions = 0;
    generation->stage = stage;
    generation->reopen = false;
    if (stages[stage].signals)
        hf_machine_add_for(actions, HF_ACTION_SIGNAL, machine, slot)->stage = stage;
    if (was == HF_STAGE_RETIRE) /* the process handles the stop signal first when it is continued */
        hf_machine_add_for(actions, HF_ACTION_CONTINUE, machine, slot);
}

void hf_machine_drain(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions)
{
    hf_machine_report(actions, HF_REPORT_DRAINING, machine, slot);
    hf_machine_enter(machine, slot, stage, actions);
}

void hf_machine_expect_leave(HfMachine *machine, unsigned slot)
{
    hf_machine_leave_active(machine, slot);
    machine->generations[slot].stage = HF_STAGE_STOP;
}

void hf_machine_escalate_to(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions)
{
    if (machine->generations[slot].stage >= stage)
        return;
    if (stage > HF_STAGE_STOP)
        hf_machine_report(actions, HF_REPORT_HURRIED, machine, slot)->stage = stage;
    hf_machine_enter(machine, slot, stage, actions);
}

void hf_machine_escalate(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfStage stage = machine->generations[slot].stage;
    HfStage next = next_stage(machine, slot);

    if (stage == HF_STAGE_PARKED)
        hf_machine_report(actions, HF_REPORT_DRAINING, machine, slot);
    if (next != stage)
        hf_machine_escalate_to(machine, slot, next, actions);
    else
        hf_machine_enter(machine, slot, stage, actions);
}

void hf_machine_extend(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];
    bool fits = generation->stage == HF_STAGE_STARTING || generation->stage == HF_STAGE_STOP;

    if (!fits || usec == 0 || generation->extensions >= HF_MACHINE_EXTENSIONS)
        return;
    uint64_t most = hf_machine_limit(machine, slot);
    generation->extensions++;
    HfAction *action = hf_machine_add_for(actions, HF_ACTION_ARM, machine, slot);
    action->timer = HF_TIMER_DEADLINE;
    action->usec = usec < most ? usec : most;
    action->extend = true;
}

/* ---- what probes find ---- */

/* How many bad probes in a row lead to a replacement, before doublings; 0: no number does. */
static unsigned patience(const HfMachineLimits *limits, HfVerdict verdict)
{
    switch (verdict) {
    case HF_VERDICT_FAILED:
        return limits->probe_failures;
    case HF_VERDICT_HUNG:
        return limits->probe_hung;
    case HF_VERDICT_HEALTHY:
    case HF_VERDICT_SATURATED:
    case HF_VERDICT_MAX_:
    default:
        break;
    }
    return 0;
}

/* Reports trouble when it begins and when it leads to a replacement, and every failed probe. */
static void report_verdict(const HfMachine *machine, unsigned slot, bool changed, bool ill,
                           HfActions *actions)
{
    static const HfReport reports[] = {
        [HF_VERDICT_HEALTHY] = HF_REPORT_HEALTHY,
        [HF_VERDICT_SATURATED] = HF_REPORT_SATURATED,
        [HF_VERDICT_HUNG] = HF_REPORT_HUNG,
        [HF_VERDICT_FAILED] = HF_REPORT_UNHEALTHY,
    };

    if (changed || ill || machine->probed == HF_VERDICT_FAILED)
        hf_machine_report(actions, reports[machine->probed], machine, slot)->status =
            (int)machine->misses;
}

static void report_doubt(const HfMachine *machine, unsigned slot, unsigned needed,
                         HfActions *actions)
{
    HfAction *action = hf_machine_report(actions, HF_REPORT_UNHEALTHY, machine, slot);

    action->doubted = true;
    action->status = (int)needed;
}

bool hf_machine_probed(HfMachine *machine, unsigned slot, HfVerdict verdict, HfActions *actions)
{
    unsigned base = patience(&machine->limits, verdict);
    unsigned most = machine->limits.probe_doublings; /* a snapshot may contain more doublings */
    unsigned needed = base << (machine->probe_backoff < most ? machine->probe_backoff : most);
    bool changed = verdict != machine->probed;
    unsigned misses = changed ? 0 : machine->misses;

    machine->probed = verdict;
    machine->misses = misses < needed ? misses + 1 : needed;
    bool ill = needed > 0 && machine->misses == needed;
    report_verdict(machine, slot, changed, ill, actions);
    bool doubted = machine->misses == base && misses < base && needed > base;
    if (doubted && machine->phase == HF_PHASE_IDLE) /* else it would be replaced now */
        report_doubt(machine, slot, needed, actions);
    if (verdict == HF_VERDICT_HEALTHY)
        machine->probe_backoff = 0;
    return ill;
}

void hf_machine_back_off_probe(HfMachine *machine)
{
    machine->misses = 0;
    if (machine->probe_backoff < machine->limits.probe_doublings)
        machine->probe_backoff++;
}
