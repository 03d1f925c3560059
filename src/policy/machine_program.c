/* SPDX-License-Identifier: MIT */
/* Holdfast's own program is replaced, or another one continues with the machine. And all names. */
#include "policy/machine_parts.h"

static bool may_upgrade(const HfMachine *machine)
{
    return (machine->phase == HF_PHASE_IDLE || machine->phase == HF_PHASE_BACKOFF) &&
           machine->wait == HF_WAIT_NONE;
}

void hf_machine_settle_upgrade(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_WANTED || !may_upgrade(machine))
        return;
    machine->upgrade = HF_UPGRADE_TESTING;
    hf_machine_add(actions, HF_ACTION_TEST_UPGRADE);
}

/* Tests the new program again if something was replaced meanwhile. */
void hf_machine_upgrade_tested(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_TESTING)
        return;
    if (may_upgrade(machine))
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
    hf_machine_answer_kind(machine, HF_REQUEST_UPGRADE, HF_OUTCOME_FAILED, actions);
}

/* ---- another program ---- */

/* A master that was stopped (SIGSTOP) to retire has lost the program that would ask its workers. A
 * start whose plan was never committed is given up; as it may serve already, it is asked to leave,
 * after it has served the connections on its side, if new ones went there when the other program
 * died. */
static void resume_generations(HfMachine *machine, bool lost, HfActions *actions)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage == HF_STAGE_RETIRE)
            hf_machine_enter(machine, i, HF_STAGE_STOP, actions);
    int new = lost ? hf_machine_find_new(machine) : -1;
    if (new < 0)
        return;
    HfMachineGeneration *given_up = &machine->generations[new];
    given_up->given_up = given_up->side != machine->side;
    hf_machine_drain(machine, (unsigned)new, given_up->given_up ? HF_STAGE_SETTLE : HF_STAGE_STOP,
                     actions);
}

/* A replacement that has lost its plan begins anew where it is needed, and is dropped where an old
 * generation serves: it may be the reason why the earlier program died. */
static void resume_phase(HfMachine *machine, bool lost, HfActions *actions)
{
    if (hf_machine_stops(machine)) { /* whoever started this program wants the service */
        machine->stop_stage = HF_STAGE_EMPTY;
        hf_machine_prepare(machine, HF_CAUSE_START, actions);
    } else if (lost && hf_machine_is_whole(machine)) {
        machine->phase = HF_PHASE_IDLE;
    } else if (lost) {
        hf_machine_prepare(machine, machine->planned ? machine->cause : HF_CAUSE_START, actions);
    }
}

/* Timers, preparations and probes did not survive the other program: starts again those that the
 * state needs. */
static void carry_on(HfMachine *machine, HfActions *actions)
{
    bool lost = machine->prepared || machine->phase == HF_PHASE_PREPARING;

    machine->prepared = machine->probing = machine->recycled = machine->takeover = false;
    machine->stop = HF_REASON_NONE;
    machine->wait = HF_WAIT_NONE;
    machine->status = 0;
    resume_generations(machine, lost, actions);
    resume_phase(machine, lost, actions);
}

bool hf_machine_resume(HfMachine *machine, HfActions *actions)
{
    if (machine->upgrade != HF_UPGRADE_TESTING || !may_upgrade(machine))
        return false;
    machine->upgrade = HF_UPGRADE_NONE;
    carry_on(machine, actions);
    hf_machine_add(actions, HF_ACTION_REPORT)->report = HF_REPORT_UPGRADED;
    hf_machine_answer_kind(machine, HF_REQUEST_UPGRADE, HF_OUTCOME_DONE, actions);
    return true;
}

/* Callers of the earlier program have seen their connection end. */
bool hf_machine_adopt(HfMachine *machine, HfActions *actions)
{
    if (machine->phase == HF_PHASE_NEW || machine->phase == HF_PHASE_ENDED)
        return false;
    for (unsigned i = 0; i < HF_MACHINE_REQUESTS; i++)
        machine->requests[i] = (HfMachineRequest){0};
    machine->pending = HF_REQUEST_NONE;
    machine->upgrade = HF_UPGRADE_NONE;
    hf_machine_add(actions, HF_ACTION_REPORT)->report = HF_REPORT_ADOPTED;
    carry_on(machine, actions);
    return true;
}

/* ---- soundness ---- */

/* A generation without a main process serves on, has been switched from, or was asked to leave. */
static bool may_have_exited(const HfMachine *machine, unsigned slot)
{
    HfStage stage = machine->generations[slot].stage;

    return stage == HF_STAGE_ACTIVE || stage >= HF_STAGE_STOP ||
           hf_machine_leaves_side(machine, slot);
}

static bool generation_sound(const HfMachine *machine, unsigned slot)
{
    const HfMachineGeneration *generation = &machine->generations[slot];
    bool standby = generation->side != machine->side;

    if (generation->stage == HF_STAGE_EMPTY)
        return generation->number == 0 && !generation->main_exited;
    if (generation->number == 0 || generation->number > machine->last_number ||
        generation->side >= HF_MACHINE_SIDES ||
        (generation->main_exited && !may_have_exited(machine, slot)))
        return false;
    if (generation->stage == HF_STAGE_TRIAL || generation->stage == HF_STAGE_PARKED)
        return standby;
    return generation->stage != HF_STAGE_ACTIVE || !standby;
}

static bool phase_sound(const HfMachine *machine)
{
    bool trial = hf_machine_has(machine, HF_STAGE_TRIAL);
    bool starting = hf_machine_has(machine, HF_STAGE_STARTING);
    bool active = hf_machine_has(machine, HF_STAGE_ACTIVE);
    bool whole = hf_machine_is_whole(machine);
    bool parked = hf_machine_has(machine, HF_STAGE_PARKED);
    bool leaving = hf_machine_count_leaving(machine) > 0;

    if (trial != (machine->phase == HF_PHASE_TRYING) || (trial && (starting || !active)))
        return false;
    switch (machine->phase) {
    case HF_PHASE_IDLE:
        return whole && !starting && machine->planned;
    case HF_PHASE_PREPARING:
        return !starting && (machine->planned || !active);
    case HF_PHASE_WAITING:
        return leaving && !starting && (machine->planned || machine->prepared);
    case HF_PHASE_CLEARING:
        return leaving && !starting && !active && !parked && machine->prepared;
    case HF_PHASE_STARTING:
        return starting && (machine->planned || machine->prepared);
    case HF_PHASE_TRYING:
        return !parked && (machine->planned || machine->prepared);
    case HF_PHASE_BACKOFF:
        return !starting && !whole && machine->planned;
    case HF_PHASE_STOPPING:
        return !starting && !active && !parked;
    case HF_PHASE_NEW:
    case HF_PHASE_ENDING:
    case HF_PHASE_ENDED:
        return !starting && !active && !parked && !leaving;
    case HF_PHASE_MAX_:
    default:
        return false;
    }
}

bool hf_machine_is_sound(const HfMachine *machine)
{
    static const HfStage single[] = {HF_STAGE_STARTING, HF_STAGE_TRIAL, HF_STAGE_PARKED,
                                     HF_STAGE_ACTIVE};

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        if (!generation_sound(machine, i))
            return false;
        for (unsigned j = 0; j < i; j++)
            if (machine->generations[i].number != 0 &&
                machine->generations[i].number == machine->generations[j].number)
                return false;
    }
    for (size_t i = 0; i < sizeof(single) / sizeof(*single); i++)
        if (hf_machine_count(machine, single[i]) > 1)
            return false;
    return machine->side < HF_MACHINE_SIDES && phase_sound(machine);
}

/* ---- names ---- */

#define NAMES(prefix, Type, maximum, ...)                                                          \
    static const char *const prefix##_names[] = {__VA_ARGS__};                                     \
    HF_STRTAB_DEFINE(prefix, Type, prefix##_names, maximum)

NAMES(hf_stage, HfStage, HF_STAGE_MAX_, "empty", "starting", "trial", "active", "parked", "settle",
      "retire", "stop", "term", "kill")
NAMES(hf_phase, HfPhase, HF_PHASE_MAX_, "new", "idle", "preparing", "waiting", "clearing",
      "starting", "trying", "backoff", "stopping", "ending", "ended")
NAMES(hf_move, HfMove, HF_MOVE_MAX_, "begin", "prepared", "unblocked", "refused", "ready", "passed",
      "failed", "lost", "freed", "due", "wished", "ill", "aged", "rollback", "stop", "over")
NAMES(hf_stop_reason, HfStopReason, HF_REASON_MAX_, "none", "signal", "request", "service",
      "takeover", "settings")
NAMES(hf_cause, HfCause, HF_CAUSE_MAX_, "start", "crash", "reload", "restart", "health", "recycle")
NAMES(hf_request_kind, HfRequestKind, HF_REQUEST_MAX_, "none", "reload", "restart", "stop",
      "upgrade", "rollback")
NAMES(hf_outcome, HfOutcome, HF_OUTCOME_MAX_, "done", "failed", "stopping", "busy", "not-parked")
NAMES(hf_timer, HfTimer, HF_TIMER_MAX_, "deadline", "respawn", "stable", "busy", "probe", "recycle",
      "stop-wait")
NAMES(hf_verdict, HfVerdict, HF_VERDICT_MAX_, "healthy", "saturated", "hung", "failed")
NAMES(hf_event, HfEventType, HF_EVENT_MAX_, "start", "prepared", "prepare-failed", "unblocked",
      "timer", "request", "stop-signal", "queue-served", "ended", "reopen", "fallback-gone",
      "upgrade-tested", "upgrade-failed", "resume", "adopt", "spawn-failed", "ready", "main-exited",
      "gone", "retired", "extend", "probed", "tried", "side-empty", "oversize", "leaving")
NAMES(hf_action, HfActionType, HF_ACTION_MAX_, "prepare", "abort-prepare", "commit", "discard",
      "switch", "save", "spawn", "trial", "signal", "continue", "reopen", "arm", "disarm", "forget",
      "backlog", "fallback", "watch-queue", "watch-side", "probe", "answer", "report",
      "test-upgrade", "upgrade", "end", "escalate", "exit")
NAMES(hf_upgrade, HfUpgrade, HF_UPGRADE_MAX_, "none", "wanted", "testing")
NAMES(hf_report, HfReport, HF_REPORT_MAX_, "ready", "crashed", "start-failed", "reload-failed",
      "retry", "draining", "hurried", "gone", "waiting", "stopping", "outage", "recovered",
      "healthy", "saturated", "hung", "unhealthy", "parked", "rolled-back", "leaving", "resumed",
      "upgraded", "upgrade-failed", "adopted", "delayed", "service-ended", "takeover-failed")
