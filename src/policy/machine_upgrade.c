#include "policy/machine_parts.h"

bool hf_machine_may_upgrade(const HfMachine *machine)
{
    return machine->phase == HF_PHASE_IDLE || machine->phase == HF_PHASE_BACKOFF;
}

void hf_machine_settle_upgrade(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_WANTED || !hf_machine_may_upgrade(machine))
        return;
    machine->upgrade = HF_UPGRADE_TESTING;
    hf_machine_add(actions, HF_ACTION_TEST_UPGRADE);
}

/* The new program is tested once more when something was replaced meanwhile. */
void hf_machine_upgrade_tested(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_TESTING)
        return;
    if (hf_machine_may_upgrade(machine))
        hf_machine_add(actions, HF_ACTION_UPGRADE);
    else
        machine->upgrade = HF_UPGRADE_WANTED;
}

void hf_machine_upgrade_failed(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_TESTING)
        return;
    machine->upgrade = HF_UPGRADE_NONE;
    hf_machine_add(actions, HF_ACTION_REPORT)->report = HF_REPORT_UPGRADE_FAILED;
    hf_machine_answer_upgrades(machine, HF_OUTCOME_FAILED, actions);
}
