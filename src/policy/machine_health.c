#include "policy/machine_parts.h"

void hf_machine_arm_probe(HfMachine *machine, HfActions *actions)
{
    if (machine->limits.probe_every > 0)
        hf_machine_arm(&machine->probe, HF_TIMER_PROBE, machine->limits.probe_every, false,
                       actions);
}

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
static void report(const HfMachine *machine, unsigned slot, bool changed, bool ill,
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
    report(machine, slot, changed, ill, actions);
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
