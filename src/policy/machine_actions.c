#include "policy/machine_parts.h"

#include <assert.h>

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

HfAction *hf_machine_arm_deadline(HfMachine *machine, unsigned slot, uint64_t usec,
                                  HfActions *actions)
{
    HfAction *action = hf_machine_add_for(actions, HF_ACTION_ARM, machine, slot);
    action->timer = HF_TIMER_DEADLINE;
    action->usec = usec;
    machine->generations[slot].deadline = true;
    return action;
}

void hf_machine_disarm_deadline(HfMachine *machine, unsigned slot, HfActions *actions)
{
    if (!machine->generations[slot].deadline)
        return;
    hf_machine_add_for(actions, HF_ACTION_DISARM, machine, slot)->timer = HF_TIMER_DEADLINE;
    machine->generations[slot].deadline = false;
}

void hf_machine_arm(bool *armed, HfTimer timer, uint64_t usec, bool spread, HfActions *actions)
{
    HfAction *action = hf_machine_add(actions, HF_ACTION_ARM);
    action->timer = timer;
    action->usec = usec;
    action->spread = spread;
    *armed = true;
}

void hf_machine_disarm(bool *armed, HfTimer timer, HfActions *actions)
{
    if (!*armed)
        return;
    hf_machine_add(actions, HF_ACTION_DISARM)->timer = timer;
    *armed = false;
}
