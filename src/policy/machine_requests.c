#include "policy/machine_parts.h"

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

void hf_machine_answer_upgrades(HfMachine *machine, HfOutcome outcome, HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].kind == HF_REQUEST_UPGRADE)
            hf_machine_answer(&machine->requests[i], outcome, actions);
}

void hf_machine_answer_all(HfMachine *machine, HfOutcome outcome, HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0)
            hf_machine_answer(&machine->requests[i], outcome, actions);
}

void hf_machine_move_requests(HfMachine *machine, bool next)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        machine->requests[i].next = next || machine->requests[i].kind == HF_REQUEST_UPGRADE;
}

/* Remembers who waits; false when the table is full, and then the caller has its answer. */
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
