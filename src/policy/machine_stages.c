/* The stages of a generation's life, and what the active one is found to be. */
#include <assert.h>
#include <stddef.h>

#include "policy/machine_parts.h"

/* ---- stages ---- */

#define LIMIT(name) offsetof(HfMachineLimits, name)

/* Where a limit passes in STARTING, that start has failed as well. */
static const struct {
    HfStage after; /* what follows when the limit has passed; 0: nothing */
    bool limited;
    bool signals; /* it begins with the signal of its name */
    size_t limit;
} stages[] = {
    [HF_STAGE_EMPTY] = {0},
    [HF_STAGE_STARTING] = {HF_STAGE_TERM, true, false, LIMIT(ready_timeout)},
    [HF_STAGE_ACTIVE] = {0},
    [HF_STAGE_SETTLE] = {HF_STAGE_RETIRE, true, false, LIMIT(settle_time)},
    [HF_STAGE_RETIRE] = {HF_STAGE_STOP, true, true, LIMIT(retire_time)},
    [HF_STAGE_STOP] = {HF_STAGE_TERM, true, true, LIMIT(drain_timeout)},
    [HF_STAGE_TERM] = {HF_STAGE_KILL, true, true, LIMIT(term_timeout)},
    [HF_STAGE_KILL] = {HF_STAGE_KILL, true, true, LIMIT(kill_interval)},
};
_Static_assert(sizeof(stages) / sizeof(*stages) == HF_STAGE_MAX_, "a row for each stage");

/* A generation that starts has the limit that it was prepared with. */
uint64_t hf_machine_limit(const HfMachine *machine, HfStage stage)
{
    bool prepared = stage == HF_STAGE_STARTING && machine->prepared;
    const HfMachineLimits *limits = prepared ? &machine->next : &machine->limits;

    if (!stages[stage].limited)
        return 0;
    return *(const uint64_t *)((const char *)limits + stages[stage].limit);
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
    if (was == HF_STAGE_RETIRE) /* after its signal, which it then handles first */
        hf_machine_add_for(actions, HF_ACTION_CONTINUE, machine, slot);
}

void hf_machine_drain(HfMachine *machine, unsigned slot, bool gentle, HfActions *actions)
{
    hf_machine_report(actions, HF_REPORT_DRAINING, machine, slot);
    hf_machine_enter(machine, slot, gentle ? HF_STAGE_SETTLE : HF_STAGE_STOP, actions);
}

void hf_machine_let_leave(HfMachine *machine, unsigned slot)
{
    hf_machine_leave_active(machine, slot);
    machine->generations[slot].stage = HF_STAGE_STOP;
}

void hf_machine_hurry(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions)
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

    if (stages[stage].after != stage)
        hf_machine_hurry(machine, slot, stages[stage].after, actions);
    else
        hf_machine_enter(machine, slot, stage, actions);
}

void hf_machine_extend(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];
    bool fits = generation->stage == HF_STAGE_STARTING || generation->stage == HF_STAGE_STOP;

    if (!fits || usec == 0 || generation->extensions >= HF_MACHINE_EXTENSIONS)
        return;
    uint64_t most = hf_machine_limit(machine, generation->stage);
    generation->extensions++;
    HfAction *action = hf_machine_add_for(actions, HF_ACTION_ARM, machine, slot);
    action->timer = HF_TIMER_DEADLINE;
    action->usec = usec < most ? usec : most;
    action->extend = true;
}

/* ---- what probes find ---- */

/* How many in a row lead to a replacement when none was in vain; 0: however many, none does. */
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

/* Trouble is news when it begins and when it leads to a replacement, and each failed probe is. */
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

bool hf_machine_probed(HfMachine *machine, unsigned slot, HfVerdict verdict, HfActions *actions)
{
    unsigned base = patience(&machine->limits, verdict);
    unsigned most = machine->limits.probe_doublings; /* another program may have doubted more */
    unsigned needed = base << (machine->doubts < most ? machine->doubts : most);
    bool changed = verdict != machine->probed;
    unsigned misses = changed ? 0 : machine->misses;

    machine->probed = verdict;
    machine->misses = misses < needed ? misses + 1 : needed;
    bool ill = needed > 0 && machine->misses == needed;
    report_verdict(machine, slot, changed, ill, actions);
    bool doubted = machine->misses == base && misses < base && needed > base;
    if (doubted && machine->phase == HF_PHASE_IDLE) /* but for that, it would be replaced now */
        hf_machine_report(actions, HF_REPORT_DOUBTED, machine, slot)->status = (int)needed;
    if (verdict == HF_VERDICT_HEALTHY)
        machine->doubts = 0;
    return ill;
}

void hf_machine_doubt(HfMachine *machine)
{
    machine->misses = 0;
    if (machine->doubts < machine->limits.probe_doublings)
        machine->doubts++;
}
