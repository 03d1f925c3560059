/* SPDX-License-Identifier: MIT */
#include "invariants.h"

#include "invariants_parts.h"
#include "policy/machine_parts.h"

#define SLOTS   8
#define CALLERS 32

_Static_assert(HF_STAGE_MAX_ == 10, "compare the new stage with the world");
_Static_assert(HF_OUTCOME_MAX_ == 5, "say when the new outcome is right");

static Rule check_count(const Edge *edge)
{
    if (hf_machine_count(edge->after, HF_STAGE_STARTING) +
                hf_machine_count(edge->after, HF_STAGE_TRIAL) >
            1 ||
        edge_count(edge->world_after, world_slot_new) > 1)
        return RULE_ONE_STARTING;
    if (hf_machine_count(edge->after, HF_STAGE_ACTIVE) > 1 ||
        edge_count(edge->world_after, world_slot_active) > 1)
        return RULE_ONE_ACTIVE;
    return RULE_NONE;
}

static Rule check_wanted(const Edge *edge)
{
    const World *world = edge->world_after;
    bool on_its_way =
        edge_find(world, world_slot_new) || edge_find(world, world_slot_whole) ||
        world->preparing || world->armed[HF_TIMER_RESPAWN] ||
        ((edge->after->phase == HF_PHASE_WAITING || edge->after->phase == HF_PHASE_CLEARING) &&
         edge_find(world, world_slot_draining));

    return !edge_wanted(world) || on_its_way ? RULE_NONE : RULE_WANTED;
}

/* Who may ask an active generation to leave. */
static Rule check_overlap(const Edge *edge)
{
    const HfEvent *event = edge->event;
    bool stop_first = event->type == HF_EVENT_PREPARED && edge->before->cause == HF_CAUSE_RESTART;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        bool left = (event->type == HF_EVENT_MAIN_EXITED || event->type == HF_EVENT_LEAVING) &&
                    event->slot == i;
        if (!world_slot_active(&edge->world_before->slots[i]) ||
            world_slot_active(&edge->world_after->slots[i]) ||
            edge->world_after->slots[i].number != edge->world_before->slots[i].number)
            continue;
        if (edge_is_failure(edge))
            return RULE_FAILED_SUCCESSOR;
        if (!edge_successor(edge) && !edge_is_rollback(edge) && !left && !stop_first &&
            !edge->world_after->stopping)
            return RULE_OVERLAP;
    }
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (edge_is_failure(edge) && world_slot_active(&edge->world_before->slots[i]) &&
            edge->after->generations[i].stage != HF_STAGE_ACTIVE)
            return RULE_FAILED_SUCCESSOR;
    return RULE_NONE;
}

static Rule check_escalation(const Edge *edge)
{
    const World *world = edge->world_after;

    if (edge_is_timer(edge->event, HF_TIMER_DEADLINE) &&
        world_slot_draining(&edge->world_before->slots[edge->event->slot])) {
        const WorldSlot *slot = &edge->world_before->slots[edge->event->slot];
        HfStage due = slot->asked < HF_STAGE_KILL ? slot->asked + 1 : HF_STAGE_KILL;
        if (slot->asked == HF_STAGE_SETTLE && slot->side != edge->world_before->side)
            due = HF_STAGE_STOP;
        const HfAction *a = edge_action(edge->actions, NULL, HF_ACTION_SIGNAL);
        if (!a || a->slot != edge->event->slot || a->stage != due)
            return RULE_ESCALATION;
    }
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if ((world_slot_draining(&world->slots[i]) || world_slot_new(&world->slots[i]) ||
             world_slot_parked(&world->slots[i])) &&
            !world->slots[i].armed)
            return RULE_DEADLINE;
    return RULE_NONE;
}

static Rule check_stop_stage(const Edge *edge)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *before = &edge->world_before->slots[i];
        const WorldSlot *after = &edge->world_after->slots[i];
        bool gentle = before->asked < HF_STAGE_STOP && after->asked == HF_STAGE_STOP;
        bool told = edge->event->type == HF_EVENT_RETIRED ||
                    edge->event->type == HF_EVENT_SIDE_EMPTY ||
                    edge->event->type == HF_EVENT_MAIN_EXITED;
        bool due = (edge->event->slot == i &&
                    (edge_is_timer(edge->event, HF_TIMER_DEADLINE) || (gentle && told))) ||
                   (before->stopped && edge_is_restart(edge)) || (gentle && edge_serves_on(edge));
        if (world_slot_draining(before) && after->asked > before->asked && !due &&
            !edge->world_after->stopping && world_occupied(edge->world_after) < HF_MACHINE_SLOTS)
            return RULE_HURRY;
    }
    return RULE_NONE;
}

static Rule check_room(const Edge *edge)
{
    const World *world = edge->world_after;

    if (!edge_action(edge->actions, NULL, HF_ACTION_SPAWN) || !edge_find(world, world_slot_active))
        return RULE_NONE;
    return edge_count(world, world_slot_draining) < edge->after->limits.max_draining &&
                   world_occupied(world) < HF_MACHINE_SLOTS
               ? RULE_NONE
               : RULE_ROOM;
}

/* ---- answers ---- */

static const WorldRequest *find_request(const World *world, uint64_t id)
{
    for (unsigned i = 0; i < WORLD_REQUESTS; i++)
        if (world->requests[i].id == id)
            return &world->requests[i];
    return NULL;
}

static bool outcome_right(const Edge *edge, const HfAction *answer)
{
    const WorldRequest *known = find_request(edge->world_before, answer->id);
    HfRequestKind kind = known ? known->kind : edge->event->request;
    bool running = known && known->running;

    switch (answer->outcome) {
    case HF_OUTCOME_DONE:
        if (kind == HF_REQUEST_STOP)
            return edge->event->type == HF_EVENT_ENDED;
        if (kind == HF_REQUEST_UPGRADE)
            return edge->event->type == HF_EVENT_RESUME;
        if (kind == HF_REQUEST_ROLLBACK)
            return edge_is_rollback(edge);
        return running && edge_successor(edge);
    case HF_OUTCOME_FAILED:
        if (kind == HF_REQUEST_UPGRADE && edge->event->type == HF_EVENT_UPGRADE_FAILED)
            return true;
        return kind != HF_REQUEST_STOP && (edge_is_failure(edge) || edge_is_rollback(edge)) &&
               (running || edge->world_after->ending);
    case HF_OUTCOME_STOPPING:
        return kind != HF_REQUEST_STOP &&
               (edge->world_after->stopping || edge->world_before->ending ||
                (kind == HF_REQUEST_UPGRADE && !known && edge->before->wait != HF_WAIT_NONE));
    case HF_OUTCOME_NOT_PARKED:
        return kind == HF_REQUEST_ROLLBACK && !edge_is_rollback(edge) &&
               edge_wanted(edge->world_before);
    case HF_OUTCOME_BUSY: /* never so many callers here */
    case HF_OUTCOME_MAX_:
        break;
    }
    return false;
}

static Rule check_answers(const Edge *edge)
{
    const World *world = edge->world_after;
    bool over = edge_successor(edge) || edge_is_failure(edge) || edge_is_rollback(edge);

    for (const HfAction *a = edge_action(edge->actions, NULL, HF_ACTION_ANSWER); a;
         a = edge_action(edge->actions, a, HF_ACTION_ANSWER))
        if (!outcome_right(edge, a))
            return RULE_OUTCOME;
    for (unsigned i = 0; i < WORLD_REQUESTS; i++) {
        const WorldRequest *request = &edge->world_before->requests[i];
        if (request->id != 0 && request->running && over && find_request(world, request->id))
            return RULE_OUTCOME;
        if (world->requests[i].id != 0 && world->ended)
            return RULE_ONE_ANSWER;
    }
    return RULE_NONE;
}

/* ---- the machine's books ---- */

static Rule check_slots(const HfMachine *machine, const World *world)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        const WorldSlot *slot = &world->slots[i];
        if (slot->occupied != (generation->stage != HF_STAGE_EMPTY))
            return RULE_SLOT;
        if (slot->number != generation->number)
            return RULE_NUMBER;
        if (slot->asked != (hf_stage_leaves(generation->stage) ? generation->stage : 0) ||
            world_slot_starting(slot) != (generation->stage == HF_STAGE_STARTING) ||
            world_slot_trying(slot) != (generation->stage == HF_STAGE_TRIAL) ||
            world_slot_parked(slot) != (generation->stage == HF_STAGE_PARKED) ||
            world_slot_active(slot) != (generation->stage == HF_STAGE_ACTIVE))
            return RULE_PHASE;
    }
    return RULE_NONE;
}

static Rule check_requests(const HfMachine *machine, const World *world)
{
    unsigned in_machine = 0;
    unsigned in_world = 0;

    for (unsigned i = 0; i < WORLD_REQUESTS; i++)
        in_world += world->requests[i].id != 0;
    for (unsigned i = 0; i < HF_MACHINE_REQUESTS; i++) {
        const HfMachineRequest *request = &machine->requests[i];
        if (request->id == 0)
            continue;
        const WorldRequest *known = find_request(world, request->id);
        if (!known || known->kind != request->kind)
            return RULE_ONE_ANSWER;
        if (known->running == request->next)
            return RULE_OUTCOME;
        in_machine++;
    }
    return in_machine == in_world ? RULE_NONE : RULE_ONE_ANSWER;
}

static bool phase_right(HfPhase phase, const World *world)
{
    bool starting = edge_find(world, world_slot_starting) != NULL;
    bool trying = edge_find(world, world_slot_trying) != NULL;
    bool active = edge_find(world, world_slot_active) != NULL;
    bool whole = edge_find(world, world_slot_whole) != NULL;
    bool draining = edge_find(world, world_slot_draining) != NULL;

    if (trying != (phase == HF_PHASE_TRYING))
        return false;
    switch (phase) {
    case HF_PHASE_NEW:
        return !world->started && !world->stopping && !world->ending;
    case HF_PHASE_IDLE:
        return edge_wanted(world) && whole && !starting && !world->preparing;
    case HF_PHASE_PREPARING:
        return edge_wanted(world) && world->preparing && !starting;
    case HF_PHASE_WAITING:
        return edge_wanted(world) && draining && !starting && !world->preparing;
    case HF_PHASE_CLEARING:
        return edge_wanted(world) && draining && !starting && !active && world->prepared;
    case HF_PHASE_STARTING:
        return edge_wanted(world) && starting && !world->preparing;
    case HF_PHASE_TRYING:
        return edge_wanted(world) && active && !starting && !world->preparing;
    case HF_PHASE_BACKOFF:
        return edge_wanted(world) && world->armed[HF_TIMER_RESPAWN] && !starting && !whole;
    case HF_PHASE_STOPPING:
        return world->stopping && !world->ending && !world->ended && !starting && !active;
    case HF_PHASE_ENDING:
        return world->ending;
    case HF_PHASE_ENDED:
        return world->ended;
    case HF_PHASE_MAX_:
        break;
    }
    return false;
}

static Rule check_books(const Edge *edge)
{
    const HfMachine *machine = edge->after;
    const World *world = edge->world_after;
    Rule rule = check_slots(machine, world);

    if (rule == RULE_NONE)
        rule = check_requests(machine, world);
    if (rule != RULE_NONE)
        return rule;
    if (machine->prepared != world->prepared || machine->planned != world->planned ||
        machine->switches != world->switches)
        return RULE_PLAN;
    if (machine->side != world->side)
        return RULE_SWITCH;
    if (world->armed[HF_TIMER_RESPAWN] != (machine->phase == HF_PHASE_BACKOFF))
        return RULE_TIMER;
    if (world->armed[HF_TIMER_STABLE] !=
        (machine->failures > 0 && edge_find(world, world_slot_whole)))
        return RULE_STABLE;
    if (world->raised != (edge_wanted(world) && !edge_find(world, world_slot_active)))
        return RULE_BACKLOG;
    return phase_right(machine->phase, world) ? RULE_NONE : RULE_PHASE;
}

/* Whatever lasts was put out exactly as it follows from the state. */
static Rule check_outputs(const Edge *edge)
{
    const World *world = edge->world_after;
    HfOutputs outputs;

    hf_machine_outputs(edge->after, &outputs);
    for (HfTimer timer = HF_TIMER_DEADLINE + 1; timer < HF_TIMER_MAX_; timer++)
        if (world->armed[timer] != (outputs.timers[timer] != 0))
            return RULE_TIMER;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world->slots[i].armed != outputs.slots[i].deadline)
            return RULE_TIMER;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world->slots[i].tried != outputs.slots[i].tried ||
            world->slots[i].watched != outputs.slots[i].watched)
            return RULE_TRIAL;
    return RULE_NONE;
}

static bool tells_who_serves(const HfAction *action)
{
    return action->type == HF_ACTION_REPORT &&
           (action->report == HF_REPORT_READY || action->report == HF_REPORT_RESUMED ||
            action->report == HF_REPORT_ROLLED_BACK);
}

static Rule check_told(const Edge *edge)
{
    bool told = false;

    for (const HfAction *a = edge->actions->list; a < edge->actions->list + edge->actions->n; a++) {
        told = told || tells_who_serves(a);
        if (told && (a->type == HF_ACTION_COMMIT || a->type == HF_ACTION_SWITCH ||
                     a->type == HF_ACTION_SAVE))
            return RULE_TOLD;
    }
    return RULE_NONE;
}

/* Of plans: committed before anybody is asked to leave for it, and never lost. */
static Rule check_committed(const Edge *edge)
{
    bool committed = (!edge_successor(edge) && !edge_is_rollback(edge)) || edge_is_loss(edge) ||
                     !edge_action(edge->actions, NULL, HF_ACTION_COMMIT);
    bool saved = true;
    const World *before = edge->world_before;
    bool loses = edge->event->type == HF_EVENT_PREPARE_FAILED && before->planned &&
                 !edge_find(before, world_slot_whole) && edge->before->pending == HF_REQUEST_NONE;

    for (const HfAction *a = edge->actions->list; a < edge->actions->list + edge->actions->n; a++) {
        bool asks = a->type == HF_ACTION_SIGNAL ||
                    (a->type == HF_ACTION_REPORT &&
                     (a->report == HF_REPORT_DRAINING || a->report == HF_REPORT_PARKED));
        committed = committed || a->type == HF_ACTION_COMMIT;
        saved = (saved && a->type != HF_ACTION_COMMIT && a->type != HF_ACTION_SWITCH) ||
                a->type == HF_ACTION_SAVE;
        if (asks && !committed)
            return RULE_ORDER;
        if (asks && !saved)
            return RULE_SAVED;
    }
    if (loses && edge_wanted(before) && edge->after->phase != HF_PHASE_STARTING &&
        edge->after->phase != HF_PHASE_WAITING)
        return RULE_COMMITTED;
    return RULE_NONE;
}

size_t invariants_actions(const HfActions *actions)
{
    /* the program has more of both than is explored: reported, signalled, continued, armed */
    size_t n = CALLERS + (size_t)(SLOTS - HF_MACHINE_SLOTS) * 4;

    for (size_t i = 0; i < actions->n; i++)
        n += actions->list[i].type != HF_ACTION_ANSWER;
    return n;
}

Rule invariants_check(const Edge *edge)
{
    Rule (*const checks[])(const Edge *) = {
        check_count,      check_overlap,     check_committed,    check_wanted,
        check_escalation, check_stop_stage,  check_room,         check_answers,
        check_books,      check_told,        invariants_sides,   invariants_handover,
        invariants_gap,   invariants_health, invariants_program, invariants_stop,
        check_outputs,
    };

    if (invariants_actions(edge->actions) > HF_MACHINE_ACTIONS_MAX)
        return RULE_BOUNDED;
    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        Rule rule = checks[i](edge);
        if (rule != RULE_NONE)
            return rule;
    }
    return RULE_NONE;
}
