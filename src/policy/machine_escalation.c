#include "policy/machine_parts.h"

#include <assert.h>

void hf_machine_leave_active(HfMachine *machine, unsigned slot, HfActions *actions)
{
    if (machine->generations[slot].state != HF_GENERATION_ACTIVE)
        return;
    hf_machine_disarm(&machine->stable, HF_TIMER_STABLE, actions);
    hf_machine_disarm(&machine->probe, HF_TIMER_PROBE, actions);
    hf_machine_disarm(&machine->recycle, HF_TIMER_RECYCLE, actions);
    machine->probed = HF_VERDICT_HEALTHY;
    machine->misses = 0;
}

/* The patience after each rung. */
static uint64_t patience_of(const HfMachineLimits *limits, HfRung rung)
{
    switch (rung) {
    case HF_RUNG_SETTLE:
        return limits->settle_time;
    case HF_RUNG_RETIRE:
        return limits->retire_time;
    case HF_RUNG_STOP:
        return limits->drain_timeout;
    case HF_RUNG_TERM:
        return limits->term_timeout;
    case HF_RUNG_KILL:
        return limits->kill_interval;
    case HF_RUNG_NONE:
    case HF_RUNG_MAX_:
    default:
        assert(false);
    }
}

void hf_machine_climb(HfMachine *machine, unsigned slot, HfRung rung, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];

    hf_machine_leave_active(machine, slot, actions);
    if (generation->state == HF_GENERATION_STARTING)
        generation->extensions = 0;
    generation->state = HF_GENERATION_DRAINING;
    generation->rung = rung;
    generation->reopen = false;
    if (rung != HF_RUNG_SETTLE)
        hf_machine_add_for(actions, HF_ACTION_SIGNAL, machine, slot)->rung = rung;
    if (rung == HF_RUNG_RETIRE) {
        generation->stopped = true;
    } else if (generation->stopped) { /* after its signal, which it then handles first */
        generation->stopped = false;
        hf_machine_add_for(actions, HF_ACTION_CONTINUE, machine, slot);
    }
    hf_machine_arm_deadline(machine, slot, patience_of(&machine->limits, rung), actions);
}

void hf_machine_wait_again(HfMachine *machine, unsigned slot, HfActions *actions)
{
    hf_machine_arm_deadline(
        machine, slot, patience_of(&machine->limits, machine->generations[slot].rung), actions);
}

void hf_machine_drain(HfMachine *machine, unsigned slot, bool gentle, HfActions *actions)
{
    hf_machine_report(actions, HF_REPORT_DRAINING, machine, slot);
    hf_machine_climb(machine, slot, gentle ? HF_RUNG_SETTLE : HF_RUNG_STOP, actions);
}

void hf_machine_let_leave(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];

    hf_machine_leave_active(machine, slot, actions);
    generation->state = HF_GENERATION_DRAINING;
    generation->rung = HF_RUNG_STOP;
    hf_machine_arm_deadline(machine, slot, machine->limits.drain_timeout, actions);
}

void hf_machine_hurry(HfMachine *machine, unsigned slot, HfRung rung, HfActions *actions)
{
    if (machine->generations[slot].rung >= rung)
        return;
    if (rung > HF_RUNG_STOP)
        hf_machine_report(actions, HF_REPORT_HURRIED, machine, slot)->rung = rung;
    hf_machine_climb(machine, slot, rung, actions);
}

void hf_machine_climb_on(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfRung rung = machine->generations[slot].rung;

    if (rung < HF_RUNG_KILL)
        hf_machine_hurry(machine, slot, rung + 1, actions);
    else
        hf_machine_climb(machine, slot, HF_RUNG_KILL, actions);
}

void hf_machine_extend(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];
    bool starting = generation->state == HF_GENERATION_STARTING;
    bool leaving = generation->state == HF_GENERATION_DRAINING && generation->rung == HF_RUNG_STOP;
    uint64_t most = starting ? hf_machine_ready_timeout(machine) : machine->limits.drain_timeout;

    if ((!starting && !leaving) || usec == 0 || generation->extensions >= HF_MACHINE_EXTENSIONS)
        return;
    generation->extensions++;
    hf_machine_arm_deadline(machine, slot, usec < most ? usec : most, actions)->extend = true;
}
