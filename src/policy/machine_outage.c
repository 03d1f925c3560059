#include "policy/machine_parts.h"

static bool in_gap(const HfMachine *machine)
{
    return machine->phase != HF_PHASE_STOPPING && machine->phase != HF_PHASE_ENDED &&
           hf_machine_find(machine, HF_GENERATION_ACTIVE) < 0;
}

static void set_answering(HfMachine *machine, bool answering, HfActions *actions)
{
    if (machine->answering == answering)
        return;
    machine->answering = answering;
    hf_machine_add(actions, HF_ACTION_ANSWERER)->raised = answering;
}

void hf_machine_yield(HfMachine *machine, HfActions *actions)
{
    machine->overdue = false;
    set_answering(machine, false, actions);
}

void hf_machine_overdue(HfMachine *machine, HfActions *actions)
{
    machine->overdue = true;
    if (machine->outage)
        return;
    machine->outage = true;
    HfAction *action = hf_machine_add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_OUTAGE;
    action->usec = machine->limits.busy_after;
}

/* Without a generation that accepts, the queue is all that callers have. */
static void settle_backlog(HfMachine *machine, bool gap, HfActions *actions)
{
    if (gap == machine->raised)
        return;
    machine->raised = gap;
    hf_machine_add(actions, HF_ACTION_BACKLOG)->raised = gap;
}

static void settle_outage(HfMachine *machine, bool gap, HfActions *actions)
{
    bool answers = machine->limits.busy_after != HF_USEC_INFINITY;

    if (!gap) {
        hf_machine_yield(machine, actions);
        hf_machine_disarm(&machine->busy, HF_TIMER_BUSY, actions);
        if (machine->outage && machine->phase != HF_PHASE_STOPPING &&
            machine->phase != HF_PHASE_ENDED)
            hf_machine_report(actions, HF_REPORT_RECOVERED, machine,
                              (unsigned)hf_machine_find(machine, HF_GENERATION_ACTIVE));
        machine->outage = false;
        return;
    }
    set_answering(machine, machine->overdue && machine->planned, actions);
    if (machine->overdue || !answers)
        hf_machine_disarm(&machine->busy, HF_TIMER_BUSY, actions);
    else if (!machine->busy)
        hf_machine_arm(&machine->busy, HF_TIMER_BUSY, machine->limits.busy_after, false, actions);
}

void hf_machine_settle_gap(HfMachine *machine, HfActions *actions)
{
    bool gap = in_gap(machine);

    settle_backlog(machine, gap, actions);
    settle_outage(machine, gap, actions);
}
