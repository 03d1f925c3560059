/* SPDX-License-Identifier: MIT */
/* The replacement: what can happen to it, and what is decided then. */
#include <assert.h>

#include "policy/backoff.h"
#include "policy/machine_parts.h"

static bool is_clear(const HfMachine *machine)
{
    return hf_machine_count(machine, HF_STAGE_EMPTY) == HF_MACHINE_SLOTS;
}

static unsigned find_oldest_leaving(const HfMachine *machine)
{
    int i = hf_machine_next_oldest(machine, 0);

    assert(i >= 0);
    while (!hf_stage_leaves(machine->generations[i].stage)) {
        i = hf_machine_next_oldest(machine, machine->generations[i].number);
        assert(i >= 0);
    }
    return (unsigned)i;
}

/* ---- decisions ---- */

void hf_machine_prepare(HfMachine *machine, HfCause cause, HfActions *actions)
{
    machine->cause = cause;
    machine->phase = HF_PHASE_PREPARING;
    machine->next = machine->limits;
    HfAction *action = hf_machine_add(actions, HF_ACTION_PREPARE);
    action->cause = cause;
    action->reread = cause != HF_CAUSE_START;
    action->trial = hf_machine_has(machine, HF_STAGE_ACTIVE);
}

static bool commit(HfMachine *machine, HfActions *actions)
{
    if (!machine->prepared)
        return false;
    machine->prepared = false;
    machine->planned = true;
    machine->switches = machine->switches_next;
    machine->before = machine->limits;
    machine->limits = machine->next;
    hf_machine_add(actions, HF_ACTION_COMMIT)->cause = machine->cause;
    return true;
}

void hf_machine_switch(HfMachine *machine, unsigned slot, HfActions *actions)
{
    unsigned side = machine->generations[slot].side;

    if (side == machine->side)
        return;
    machine->side = side;
    hf_machine_add(actions, HF_ACTION_SWITCH)->side = side;
    hf_machine_add(actions, HF_ACTION_SAVE);
}

static void discard(HfMachine *machine, HfActions *actions)
{
    if (!machine->prepared)
        return;
    machine->prepared = false;
    hf_machine_add(actions, HF_ACTION_DISCARD);
}

/* Does the next plan, or else the current one, have several sides? */
static bool plan_switches(const HfMachine *machine)
{
    return machine->prepared ? machine->switches_next : machine->switches;
}

/* Does the old generation settle on a side that the next one does not share? */
static bool settles_beside(const HfMachine *machine)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage == HF_STAGE_SETTLE && plan_switches(machine) &&
            !hf_machine_leaves_side(machine, i))
            return true;
    return false;
}

static bool is_side_free(const HfMachine *machine, unsigned side)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage != HF_STAGE_EMPTY && machine->generations[i].side == side)
            return false;
    return side != machine->side;
}

/* A side without any generation: one that was asked to leave may accept until it is gone. */
static unsigned find_free_side(const HfMachine *machine)
{
    unsigned side = 0;

    while (!is_side_free(machine, side))
        side++;
    assert(side < HF_MACHINE_SIDES);
    return side;
}

/* On a free side where a generation serves and the plan has several; else on the side that
 * connections go to, where clients of a hung generation are waiting as well. In an outage another
 * start of the committed plan is not likely to work, so callers keep getting answers. */
static void start(HfMachine *machine, unsigned slot, bool beside, HfActions *actions)
{
    bool switches = plan_switches(machine) && machine->cause != HF_CAUSE_HEALTH;

    machine->overdue = machine->overdue && !machine->prepared;
    if (!beside)
        commit(machine, actions);
    machine->generations[slot] = (HfMachineGeneration){
        .stage = HF_STAGE_STARTING,
        .number = ++machine->last_number,
        .side = beside && switches ? find_free_side(machine) : machine->side,
    };
    machine->phase = HF_PHASE_STARTING;
}

/* No rollback is possible while the next generation gets ready. */
static void end_parked(HfMachine *machine, HfActions *actions)
{
    int parked = hf_machine_find(machine, HF_STAGE_PARKED);

    if (parked >= 0)
        hf_machine_drain(machine, (unsigned)parked, HF_STAGE_STOP, actions);
}

/* Starts the next generation, or waits for a slot: beside an active generation one slot stays free
 * for the start after its crash. */
static void launch(HfMachine *machine, HfActions *actions)
{
    bool beside = hf_machine_has(machine, HF_STAGE_ACTIVE);
    int empty = hf_machine_find(machine, HF_STAGE_EMPTY);

    if (beside)
        end_parked(machine, actions);
    if (beside ? hf_machine_count_leaving(machine) < machine->limits.max_draining &&
                     !settles_beside(machine)
               : empty >= 0) {
        start(machine, (unsigned)empty, beside, actions);
        return;
    }
    unsigned oldest = find_oldest_leaving(machine);
    if (!beside)
        hf_machine_escalate_to(machine, oldest, HF_STAGE_KILL, actions);
    else if (machine->phase != HF_PHASE_WAITING)
        hf_machine_report(actions, HF_REPORT_WAITING, machine, oldest);
    machine->phase = HF_PHASE_WAITING;
}

/* No generation serves and none is starting: start one, at once or after a growing delay. */
static void respawn(HfMachine *machine, HfActions *actions)
{
    if (machine->failures < UINT32_MAX)
        machine->failures++;
    machine->cause = HF_CAUSE_CRASH;

    uint64_t delay = hf_backoff_delay(machine->failures, machine->limits.backoff_max);
    if (delay == 0) {
        launch(machine, actions);
        return;
    }
    machine->phase = HF_PHASE_BACKOFF;
    hf_machine_report_plainly(actions, HF_REPORT_RETRY)->usec = delay;
}

/* Takes the request that has been waiting. */
static void take_pending(HfMachine *machine, HfActions *actions)
{
    if (machine->pending == HF_REQUEST_NONE)
        return;
    HfCause cause = machine->pending == HF_REQUEST_RESTART ? HF_CAUSE_RESTART : HF_CAUSE_RELOAD;
    machine->pending = HF_REQUEST_NONE;
    hf_machine_move_requests(machine, false);
    hf_machine_prepare(machine, cause, actions);
}

static void begin(HfMachine *machine, HfActions *actions)
{
    hf_machine_prepare(machine, HF_CAUSE_START, actions);
}

/* Reads the settings again, since they may be the cause. */
static void retry(HfMachine *machine, HfActions *actions)
{
    hf_machine_prepare(machine, HF_CAUSE_CRASH, actions);
}

static void again(HfMachine *machine, HfActions *actions)
{
    hf_machine_prepare(machine, machine->cause, actions);
}

/* A restart stops the old generation first. */
static void proceed(HfMachine *machine, HfActions *actions)
{
    int active = hf_machine_find(machine, HF_STAGE_ACTIVE);

    machine->prepared = true;
    if (machine->cause != HF_CAUSE_RESTART || is_clear(machine)) {
        launch(machine, actions);
        return;
    }
    machine->phase = HF_PHASE_CLEARING;
    if (active >= 0)
        hf_machine_drain(machine, (unsigned)active, HF_STAGE_STOP, actions);
    end_parked(machine, actions);
}

static void fail(HfMachine *machine, HfActions *actions)
{
    discard(machine, actions);
    hf_machine_answer_running(machine, HF_OUTCOME_FAILED, actions);
    if (hf_machine_is_whole(machine)) {
        machine->phase = HF_PHASE_IDLE;
        machine->recycled = false;
    } else {
        machine->overdue = machine->outage;
        if (machine->pending == HF_REQUEST_NONE)
            respawn(machine, actions);
    }
    take_pending(machine, actions);
}

static void end_if_clear(HfMachine *machine, HfActions *actions)
{
    (void)actions;
    if (is_clear(machine))
        machine->phase = HF_PHASE_ENDING;
}

/* If no generation is left to serve, starts the plan that served last, whatever the settings are
 * now. */
static void refuse(HfMachine *machine, HfActions *actions)
{
    hf_machine_report_plainly(actions, hf_machine_failure(machine))->cause = machine->cause;
    if (machine->planned && hf_machine_is_whole(machine)) {
        fail(machine, actions);
        return;
    }
    hf_machine_answer_running(machine, HF_OUTCOME_FAILED, actions);
    if (!machine->planned) {
        machine->stop = HF_REASON_SETTINGS;
        machine->stop_stage = HF_STAGE_STOP;
        machine->status = 1;
        machine->pending = HF_REQUEST_NONE;
        machine->upgrade = HF_UPGRADE_NONE;
        for (HfRequestKind kind = HF_REQUEST_NONE + 1; kind < HF_REQUEST_MAX_; kind++)
            hf_machine_answer_kind(machine, kind, HF_OUTCOME_FAILED, actions);
        machine->phase = HF_PHASE_STOPPING;
        end_if_clear(machine, actions);
        return;
    }
    machine->overdue = machine->outage;
    machine->cause = HF_CAUSE_CRASH;
    if (machine->pending == HF_REQUEST_NONE)
        launch(machine, actions);
    take_pending(machine, actions);
}

/* The old generation has been switched from, or serves beside its successor. */
static void dismiss_old(HfMachine *machine, unsigned slot, bool parkable, bool gentle,
                        HfActions *actions)
{
    const HfMachineGeneration *old = &machine->generations[slot];
    bool reload = machine->cause == HF_CAUSE_RELOAD;

    if (old->side == machine->side) {
        gentle = gentle && !old->main_exited && machine->cause != HF_CAUSE_HEALTH;
        hf_machine_drain(machine, slot, gentle ? HF_STAGE_SETTLE : HF_STAGE_STOP, actions);
    } else if (parkable && reload && !old->main_exited && machine->limits.park_time > 0) {
        hf_machine_report(actions, HF_REPORT_PARKED, machine, slot)->usec =
            machine->limits.park_time;
        hf_machine_enter(machine, slot, HF_STAGE_PARKED, actions);
    } else {
        hf_machine_drain(machine, slot, HF_STAGE_SETTLE, actions);
    }
}

/* The generation that was starting or on trial becomes the active one. */
static void hand_over(HfMachine *machine, HfActions *actions)
{
    unsigned slot = (unsigned)hf_machine_find_new(machine);
    HfMachineGeneration *generation = &machine->generations[slot];
    int old = hf_machine_find(machine, HF_STAGE_ACTIVE);
    bool retires = machine->limits.retires; /* of the old generation, which leaves */
    bool parkable = machine->switches;

    generation->stage = HF_STAGE_ACTIVE;
    generation->extensions = 0;
    machine->takeover = false;
    machine->recycled = false;
    bool committed = commit(machine, actions);
    if (generation->side != machine->side)
        hf_machine_switch(machine, slot, actions);
    else if (committed || old >= 0)
        hf_machine_add(actions, HF_ACTION_SAVE);
    hf_machine_report(actions, HF_REPORT_READY, machine, slot);
    if (generation->reopen) {
        generation->reopen = false;
        hf_machine_add_for(actions, HF_ACTION_REOPEN, machine, slot);
    }
    if (old >= 0)
        dismiss_old(machine, (unsigned)old, parkable, machine->limits.gentle && retires, actions);
    hf_machine_answer_running(machine, HF_OUTCOME_DONE, actions);
    machine->phase = HF_PHASE_IDLE;
    take_pending(machine, actions);
}

/* A generation on the standby side has time for a trial, unless no other serves meanwhile. */
static void try_first(HfMachine *machine, HfActions *actions)
{
    HfMachineGeneration *generation =
        &machine->generations[hf_machine_find(machine, HF_STAGE_STARTING)];
    const HfMachineLimits *limits = machine->prepared ? &machine->next : &machine->limits;

    if (generation->side == machine->side || !limits->tries ||
        !hf_machine_has(machine, HF_STAGE_ACTIVE)) {
        hand_over(machine, actions);
        return;
    }
    generation->stage = HF_STAGE_TRIAL;
    generation->extensions = 0;
    machine->phase = HF_PHASE_TRYING;
}

/* Workers without a main process go on serving during the trial; otherwise there is no time for
 * one. */
static void step_in(HfMachine *machine, HfActions *actions)
{
    if (!hf_machine_has(machine, HF_STAGE_ACTIVE))
        hand_over(machine, actions);
}

/* Abandons the current replacement. */
static void roll_back(HfMachine *machine, HfActions *actions)
{
    int parked = hf_machine_find(machine, HF_STAGE_PARKED);
    int old = hf_machine_find(machine, HF_STAGE_ACTIVE);
    int starting = hf_machine_find(machine, HF_STAGE_STARTING);

    if (parked < 0)
        return;
    machine->generations[parked].stage = HF_STAGE_ACTIVE;
    if (machine->phase == HF_PHASE_PREPARING)
        hf_machine_add(actions, HF_ACTION_ABORT_PREPARE);
    discard(machine, actions);
    machine->limits = machine->before;
    hf_machine_add_for(actions, HF_ACTION_COMMIT, machine, (unsigned)parked);
    hf_machine_switch(machine, (unsigned)parked, actions);
    hf_machine_report(actions, HF_REPORT_ROLLED_BACK, machine, (unsigned)parked);
    if (starting >= 0)
        hf_machine_enter(machine, (unsigned)starting, HF_STAGE_TERM, actions);
    if (old >= 0)
        hf_machine_drain(machine, (unsigned)old, HF_STAGE_SETTLE, actions);
    machine->recycled = false;
    hf_machine_answer_running(machine, HF_OUTCOME_FAILED, actions);
    machine->phase = HF_PHASE_IDLE;
    take_pending(machine, actions);
}

/* The first crash in a row is repaired at once, from the plan that served; callers of the current
 * preparation wait a little longer. After further crashes that preparation is the next start. */
static void interrupt(HfMachine *machine, HfActions *actions)
{
    if (hf_backoff_delay(machine->failures + 1, machine->limits.backoff_max) > 0) {
        machine->failures++;
        return;
    }
    hf_machine_add(actions, HF_ACTION_ABORT_PREPARE);
    hf_machine_move_requests(machine, true);
    if (machine->cause == HF_CAUSE_RESTART)
        machine->pending = HF_REQUEST_RESTART;
    else if (machine->pending == HF_REQUEST_NONE && machine->cause == HF_CAUSE_RELOAD)
        machine->pending = HF_REQUEST_RELOAD;
    respawn(machine, actions);
}

static void clear(HfMachine *machine, HfActions *actions)
{
    if (is_clear(machine))
        launch(machine, actions);
}

static void heal(HfMachine *machine, HfActions *actions)
{
    hf_machine_back_off_probe(machine);
    machine->cause = HF_CAUSE_HEALTH;
    launch(machine, actions);
}

static void recycle(HfMachine *machine, HfActions *actions)
{
    hf_machine_prepare(machine, HF_CAUSE_RECYCLE, actions);
}

static void stop(HfMachine *machine, HfActions *actions)
{
    hf_machine_report_plainly(actions, HF_REPORT_STOPPING);
    if (machine->phase == HF_PHASE_PREPARING)
        hf_machine_add(actions, HF_ACTION_ABORT_PREPARE);
    discard(machine, actions);
    machine->pending = HF_REQUEST_NONE;
    machine->upgrade = HF_UPGRADE_NONE;
    machine->outage = machine->overdue = machine->takeover = false;
    machine->wait = HF_WAIT_NONE;
    for (HfRequestKind kind = HF_REQUEST_NONE + 1; kind < HF_REQUEST_MAX_; kind++)
        if (kind != HF_REQUEST_STOP)
            hf_machine_answer_kind(machine, kind, HF_OUTCOME_STOPPING, actions);
    machine->phase = HF_PHASE_STOPPING;
    machine->stop_stage = HF_STAGE_STOP;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfStage stage = machine->generations[i].stage;
        if (stage == HF_STAGE_ACTIVE || stage == HF_STAGE_PARKED)
            hf_machine_drain(machine, i, HF_STAGE_STOP, actions);
        else if (stage != HF_STAGE_EMPTY) /* a starting generation may serve already */
            hf_machine_escalate_to(machine, i, HF_STAGE_STOP, actions);
    }
    end_if_clear(machine, actions);
}

/* A stop was requested again. */
static void escalate(HfMachine *machine, HfActions *actions)
{
    if (machine->phase == HF_PHASE_ENDING) {
        hf_machine_add(actions, HF_ACTION_ESCALATE);
        return;
    }
    if (machine->stop_stage < HF_STAGE_KILL)
        machine->stop_stage++;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage != HF_STAGE_EMPTY)
            hf_machine_escalate_to(machine, i, machine->stop_stage, actions);
}

static void conclude(HfMachine *machine, HfActions *actions)
{
    machine->phase = HF_PHASE_ENDED;
    hf_machine_answer_kind(machine, HF_REQUEST_STOP, HF_OUTCOME_DONE, actions);
}

/* ---- the table ---- */

typedef void (*Decide)(HfMachine *machine, HfActions *actions);

#define DECISIONS(X)                                                                               \
    X(begin)                                                                                       \
    X(again)                                                                                       \
    X(proceed)                                                                                     \
    X(refuse)                                                                                      \
    X(try_first)                                                                                   \
    X(hand_over)                                                                                   \
    X(step_in)                                                                                     \
    X(fail)                                                                                        \
    X(roll_back)                                                                                   \
    X(respawn)                                                                                     \
    X(interrupt)                                                                                   \
    X(launch)                                                                                      \
    X(clear)                                                                                       \
    X(retry)                                                                                       \
    X(take_pending) X(heal) X(recycle) X(stop) X(escalate) X(end_if_clear) X(conclude)

#define NUMBER(name) do_##name,
enum { nothing, DECISIONS(NUMBER) decisions_n };
#define ENTRY(name) [do_##name] = {#name, name},
static const struct {
    const char *name;
    Decide decide;
} decisions[] = {[nothing] = {".", NULL}, DECISIONS(ENTRY)};

/* Which decision a move leads to in each phase; `N`, shown as a dot: it cannot matter, the phase
 * stays. While the successor of a lost generation starts, the loss does not concern the
 * replacement. A loss may bring a settling generation back, or end everything
 * (--exit-with-service), before the table is looked up. */
/* clang-format off */
#define N nothing
#define R(move, new, idle, preparing, waiting, clearing, starting, trying, backoff, stopping, ending) \
    [HF_MOVE_##move] = {                                                                           \
        [HF_PHASE_NEW] = (new), [HF_PHASE_IDLE] = (idle), [HF_PHASE_PREPARING] = (preparing),      \
        [HF_PHASE_WAITING] = (waiting), [HF_PHASE_CLEARING] = (clearing),                          \
        [HF_PHASE_STARTING] = (starting), [HF_PHASE_TRYING] = (trying),                            \
        [HF_PHASE_BACKOFF] = (backoff), [HF_PHASE_STOPPING] = (stopping),                          \
        [HF_PHASE_ENDING] = (ending),                                                              \
    }
#define D(name) do_##name
static const unsigned char table[HF_MOVE_MAX_][HF_PHASE_MAX_] = {
/*  move       new       idle             preparing     waiting       clearing  starting      trying        backoff          stopping         ending */
  R(BEGIN,     D(begin), N,               N,            N,            N,        N,            N,            N,               N,               N),
  R(PREPARED,  N,        N,               D(proceed),   N,            N,        N,            N,            N,               N,               N),
  R(UNBLOCKED, N,        N,               D(again),     N,            N,        N,            N,            N,               N,               N),
  R(REFUSED,   N,        N,               D(refuse),    N,            N,        N,            N,            N,               N,               N),
  R(READY,     N,        N,               N,            N,            N,        D(try_first), N,            N,               N,               N),
  R(PASSED,    N,        N,               N,            N,            N,        N,            D(hand_over), N,               N,               N),
  R(FAILED,    N,        N,               N,            N,            N,        D(fail),      D(fail),      N,               N,               N),
  R(LOST,      N,        D(respawn),      D(interrupt), D(launch),    N,        N,            D(step_in),   N,               N,               N),
  R(FREED,     N,        N,               N,            D(launch),    D(clear), N,            N,            N,               D(end_if_clear), N),
  R(DUE,       N,        N,               N,            N,            N,        N,            N,            D(retry),        N,               N),
  R(WISHED,    N,        D(take_pending), N,            N,            N,        N,            N,            D(take_pending), N,               N),
  R(ILL,       N,        D(heal),         N,            N,            N,        N,            N,            N,               N,               N),
  R(AGED,      N,        D(recycle),      N,            N,            N,        N,            N,            N,               N,               N),
  R(ROLLBACK,  N,        D(roll_back),    D(roll_back), D(roll_back), N,        D(roll_back), N,            D(roll_back),    N,               N),
  R(STOP,      D(stop),  D(stop),         D(stop),      D(stop),      D(stop),  D(stop),      D(stop),      D(stop),         D(escalate),        D(escalate)),
  R(OVER,      N,        N,               N,            N,            N,        N,            N,            N,               N,               D(conclude)),
};
#undef N
#undef R
#undef D
/* clang-format on */

HfDecision hf_machine_decision(HfMove move, HfPhase phase)
{
    return table[move][phase];
}

const char *hf_decision_name(HfDecision decision)
{
    return decisions[decision].name;
}

void hf_machine_move(HfMachine *machine, HfMove it, HfActions *actions)
{
    HfPhase phase = machine->phase;
    Decide decide = decisions[table[it][phase]].decide;

    if (decide)
        decide(machine, actions);
    assert(actions->n_moves < HF_MACHINE_MOVES_MAX);
    actions->moves[actions->n_moves].move = it;
    actions->moves[actions->n_moves].phase = phase;
    actions->moves[actions->n_moves++].after = machine->phase;
}
