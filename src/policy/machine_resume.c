#include "policy/backoff.h"
#include "policy/machine_parts.h"

/* Who was stopped (SIGSTOP) to retire has nobody left who would ask its workers. */
static void resume_stopped(HfMachine *machine, HfActions *actions)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stopped)
            hf_machine_climb(machine, i, HF_RUNG_STOP, actions);
}

/* A generation whose plan was never committed is given up; it may serve already, so it is asked. */
static void resume_starting(HfMachine *machine, unsigned slot, bool lost, HfActions *actions)
{
    if (lost)
        hf_machine_drain(machine, slot, false, actions);
    else
        hf_machine_arm_deadline(machine, slot, machine->limits.ready_timeout, actions);
}

static int next_oldest(const HfMachine *machine, uint64_t number)
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

static void resume_generations(HfMachine *machine, bool lost, HfActions *actions)
{
    resume_stopped(machine, actions);
    for (int i = next_oldest(machine, 0); i >= 0;
         i = next_oldest(machine, machine->generations[i].number)) {
        const HfMachineGeneration *generation = &machine->generations[i];
        if (generation->state == HF_GENERATION_STARTING)
            resume_starting(machine, (unsigned)i, lost, actions);
        else if (generation->state == HF_GENERATION_DRAINING && !generation->deadline)
            hf_machine_wait_again(machine, (unsigned)i, actions);
    }
}

/* A replacement that has lost its plan begins anew where it is needed, and is forgotten where an
 * old generation serves: it may be what this program's predecessor died of. */
static void resume_phase(HfMachine *machine, bool lost, HfActions *actions)
{
    if (machine->phase == HF_PHASE_STOPPING) { /* who started this program wants the service */
        machine->hurry = HF_RUNG_NONE;
        hf_machine_prepare(machine, HF_CAUSE_START, actions);
    } else if (machine->phase == HF_PHASE_BACKOFF) {
        hf_machine_arm(&machine->respawn, HF_TIMER_RESPAWN,
                       hf_backoff_delay(machine->failures + 1, machine->limits.backoff_max), true,
                       actions);
    } else if (lost && hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0) {
        machine->phase = HF_PHASE_IDLE;
    } else if (lost) {
        hf_machine_prepare(machine, machine->planned ? machine->cause : HF_CAUSE_START, actions);
    }
}

static void resume_timers(HfMachine *machine, HfActions *actions)
{
    machine->busy = machine->probe = machine->recycle = false; /* the end of the step arms BUSY */
    if (machine->stable)
        hf_machine_arm(&machine->stable, HF_TIMER_STABLE, machine->limits.stable_time, false,
                       actions);
    if (hf_machine_find(machine, HF_GENERATION_ACTIVE) < 0)
        return;
    hf_machine_arm_probe(machine, actions);
    hf_machine_arm_recycle(machine, actions);
}

/* Nothing outlived the program that was armed, prepared or asked for a while: the state's need of
 * it is met again. */
static void go_on(HfMachine *machine, HfActions *actions)
{
    bool lost = machine->prepared || machine->phase == HF_PHASE_PREPARING;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        machine->generations[i].deadline = false;
    machine->prepared = machine->answering = machine->respawn = false;
    resume_generations(machine, lost, actions);
    resume_phase(machine, lost, actions);
    resume_timers(machine, actions);
}

void hf_machine_resume(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_TESTING || !hf_machine_may_upgrade(machine))
        return;
    machine->upgrade = HF_UPGRADE_NONE;
    go_on(machine, actions);
    hf_machine_add(actions, HF_ACTION_REPORT)->report = HF_REPORT_UPGRADED;
    hf_machine_answer_upgrades(machine, HF_OUTCOME_DONE, actions);
}

/* Who had asked for anything has seen the connection end. */
void hf_machine_adopt(HfMachine *machine, HfActions *actions)
{
    if (machine->phase == HF_PHASE_NEW || machine->phase == HF_PHASE_ENDED)
        return;
    for (unsigned i = 0; i < HF_MACHINE_REQUESTS; i++)
        machine->requests[i] = (HfMachineRequest){0};
    machine->pending = HF_REQUEST_NONE;
    machine->upgrade = HF_UPGRADE_NONE;
    hf_machine_add(actions, HF_ACTION_REPORT)->report = HF_REPORT_ADOPTED;
    go_on(machine, actions);
}

/* ---- soundness ---- */

static bool generation_sound(const HfMachineGeneration *generation, uint64_t last_number)
{
    bool draining = generation->state == HF_GENERATION_DRAINING;

    if (generation->state == HF_GENERATION_EMPTY)
        return generation->number == 0 && generation->rung == HF_RUNG_NONE &&
               !generation->stopped && !generation->main_exited;
    return generation->number > 0 && generation->number <= last_number &&
           draining == (generation->rung != HF_RUNG_NONE) &&
           generation->stopped == (generation->rung == HF_RUNG_RETIRE) &&
           (draining || !generation->main_exited);
}

static bool phase_sound(const HfMachine *machine)
{
    bool starting = hf_machine_find(machine, HF_GENERATION_STARTING) >= 0;
    bool active = hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0;
    bool draining = hf_machine_find(machine, HF_GENERATION_DRAINING) >= 0;

    switch (machine->phase) {
    case HF_PHASE_NEW:
        return !starting && !active && !draining;
    case HF_PHASE_IDLE:
        return active && !starting && machine->planned;
    case HF_PHASE_PREPARING:
        return !starting && (machine->planned || !active);
    case HF_PHASE_WAITING:
        return draining && !starting && (machine->planned || machine->prepared);
    case HF_PHASE_CLEARING:
        return draining && !starting && !active && machine->prepared;
    case HF_PHASE_STARTING:
        return starting && (machine->planned || machine->prepared);
    case HF_PHASE_BACKOFF:
        return !starting && !active && machine->planned;
    case HF_PHASE_STOPPING:
        return !starting && !active;
    case HF_PHASE_ENDED:
        return !starting && !active && !draining;
    case HF_PHASE_MAX_:
    default:
        return false;
    }
}

bool hf_machine_is_sound(const HfMachine *machine)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        if (!generation_sound(&machine->generations[i], machine->last_number))
            return false;
        for (unsigned j = 0; j < i; j++)
            if (machine->generations[i].number != 0 &&
                machine->generations[i].number == machine->generations[j].number)
                return false;
    }
    return hf_machine_count(machine, HF_GENERATION_STARTING) <= 1 &&
           hf_machine_count(machine, HF_GENERATION_ACTIVE) <= 1 &&
           (!machine->stable || hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0) &&
           phase_sound(machine);
}
