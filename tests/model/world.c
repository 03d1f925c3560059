/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <assert.h>
#include <string.h>

_Static_assert(HF_EVENT_MAX_ == 26, "teach the world the new event");
_Static_assert(HF_ACTION_MAX_ == 26, "teach the world the new action");
_Static_assert(HF_STAGE_MAX_ == 10, "teach the world the new stage");
_Static_assert(HF_VERDICT_MAX_ == 4, "teach the world the new verdict");

bool world_gap(const World *world)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world_slot_active(&world->slots[i]))
            return false;
    return world->started && !world->stopping && !world->ending && !world->ended;
}

unsigned world_patience(const HfMachineLimits *limits, unsigned probe_backoff, HfVerdict verdict)
{
    unsigned most = 1U << limits->probe_doublings;
    unsigned times = 1;

    for (unsigned i = 0; i < probe_backoff && times < most; i++)
        times *= 2;
    if (verdict == HF_VERDICT_FAILED)
        return limits->probe_failures * times;
    return verdict == HF_VERDICT_HUNG ? limits->probe_hung * times : 0;
}

unsigned world_occupied(const World *world)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        n += world->slots[i].occupied;
    return n;
}

/* ---- what an event means outside ---- */

static void stop_begins(World *world)
{
    world->started = world->stopping = true; /* perhaps before the start */
    world->testing = false;                  /* nobody listens to its result any more */
    world->outage = false;                   /* there is nothing to recover any more */
}

static void request_made(World *world, const HfEvent *event)
{
    if (event->id == 0)
        return;
    for (unsigned i = 0; i < WORLD_REQUESTS; i++) {
        if (world->requests[i].id != 0)
            continue;
        world->requests[i] = (WorldRequest){.id = event->id, .kind = event->request};
        return;
    }
    assert(false);
}

/* Of what holdfast's program did, processes, sockets and their backlog are left. */
static void program_ended(World *world)
{
    memset(world->armed, 0, sizeof(world->armed));
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        world->slots[i].armed = world->slots[i].tried = world->slots[i].watched = false;
    world->preparing = world->prepared = world->answering = world->probing = false;
    world->testing = world->watching = world->ending = false;
}

static void callers_left(World *world)
{
    for (unsigned i = 0; i < WORLD_REQUESTS; i++)
        world->requests[i] = (WorldRequest){0};
}

void world_event(World *world, const HfEvent *event)
{
    WorldSlot *slot = &world->slots[event->slot];

    world->executing = world->committed = false;

    switch (event->type) {
    case HF_EVENT_START:
        world->started = true;
        break;
    case HF_EVENT_PREPARED:
        world->preparing = false;
        world->prepared = true;
        world->switches_next = event->switches;
        break;
    case HF_EVENT_PREPARE_FAILED:
    case HF_EVENT_UNBLOCKED:
        world->preparing = false;
        break;
    case HF_EVENT_SPAWN_FAILED:
    case HF_EVENT_GONE:
        slot->process = WORLD_PROCESS_NONE;
        break;
    case HF_EVENT_READY:
        slot->process = WORLD_PROCESS_RUNNING;
        slot->ready = true;
        slot->extended = 0;
        break;
    case HF_EVENT_MAIN_EXITED:
        slot->process = WORLD_PROCESS_EXITED;
        break;
    case HF_EVENT_TIMER:
        if (event->timer == HF_TIMER_DEADLINE)
            slot->armed = false;
        else
            world->armed[event->timer] = false;
        break;
    case HF_EVENT_REQUEST:
        request_made(world, event);
        break;
    case HF_EVENT_QUEUE_SERVED:
        world->watching = false;
        break;
    case HF_EVENT_ENDED:
        world->ending = false;
        break;
    case HF_EVENT_FALLBACK_GONE:
        world->answering = false;
        break;
    case HF_EVENT_PROBED:
        world->probing = false;
        world->misses = event->verdict == world->probed ? world->misses + 1 : 1;
        world->probed = event->verdict;
        if (event->verdict == HF_VERDICT_HEALTHY)
            world->probe_backoff = 0;
        break;
    case HF_EVENT_UPGRADE_TESTED:
    case HF_EVENT_UPGRADE_FAILED:
        world->testing = false;
        break;
    case HF_EVENT_RESUME:
        program_ended(world);
        break;
    case HF_EVENT_ADOPT:
        program_ended(world);
        callers_left(world);
        world->stopping = false;
        break;
    case HF_EVENT_TRIED:
        slot->tried = false;
        if (world_slot_starting(slot))
            slot->process = WORLD_PROCESS_RUNNING;
        slot->ready = true;
        break;
    case HF_EVENT_SIDE_EMPTY:
        slot->watched = false;
        break;
    case HF_EVENT_REOPEN:
    case HF_EVENT_RETIRED:
    case HF_EVENT_EXTEND:
    case HF_EVENT_OVERSIZE:
    case HF_EVENT_LEAVING:
    case HF_EVENT_STOP_SIGNAL:
        break;
    case HF_EVENT_MAX_:
        assert(false);
    }
}

/* ---- what an action does ---- */

static Rule spawn(World *world, const HfAction *action)
{
    WorldSlot *slot = &world->slots[action->slot];

    if (slot->occupied)
        return RULE_SLOT;
    if (world->answering && (world->committed || !world->outage))
        return RULE_FALLBACK;
    if (action->prepared ? !world->prepared : !world->planned)
        return RULE_PLAN;
    if (action->number != world->last_number + 1)
        return RULE_NUMBER;
    world->last_number = action->number;
    *slot = (WorldSlot){.process = WORLD_PROCESS_UNKNOWN,
                        .occupied = true,
                        .side = action->side,
                        .number = action->number};
    return RULE_NONE;
}

static Rule signal_slot(WorldSlot *slot, bool stopping, const HfEvent *event, HfStage stage)
{
    if (!slot->occupied || slot->process == WORLD_PROCESS_NONE)
        return RULE_LATE_SIGNAL;
    if (stage == HF_STAGE_STOP && !slot->ready && !stopping && event->type != HF_EVENT_ADOPT &&
        slot->process != WORLD_PROCESS_EXITED)
        return RULE_EARLY_SIGNAL;
    if (stage < slot->asked)
        return RULE_ESCALATION;
    if (stage == slot->asked && stage != HF_STAGE_KILL && event->type != HF_EVENT_MAIN_EXITED)
        return RULE_REPEAT;
    if (stage == HF_STAGE_RETIRE) {
        if (slot->process != WORLD_PROCESS_RUNNING)
            return RULE_LATE_SIGNAL;
        if (slot->asked != HF_STAGE_SETTLE)
            return RULE_GENTLE;
        slot->stopped = true;
    }
    if (slot->asked == HF_STAGE_EMPTY)
        slot->extended = 0;
    slot->serves = slot->parked = false;
    if (stage == HF_STAGE_STOP)
        slot->ready = true; /* or it may be: it is asked as one that serves */
    slot->asked = stage;
    return RULE_NONE;
}

static Rule go_on(WorldSlot *slot)
{
    if (!slot->stopped || slot->asked <= HF_STAGE_RETIRE)
        return RULE_STOPPED;
    slot->stopped = false;
    return RULE_NONE;
}

static Rule reopen(const WorldSlot *slot)
{
    if (!slot->occupied || slot->process == WORLD_PROCESS_NONE ||
        slot->process == WORLD_PROCESS_EXITED)
        return RULE_LATE_SIGNAL;
    return world_slot_starting(slot) ? RULE_EARLY_SIGNAL : RULE_NONE;
}

static Rule arm(World *world, const HfEvent *event, const HfAction *action)
{
    WorldSlot *slot = &world->slots[action->slot];

    if (action->usec == 0)
        return RULE_TIMER;
    if (action->timer == HF_TIMER_DEADLINE) {
        if (!slot->occupied)
            return RULE_TIMER;
        if (action->extend != (event->type == HF_EVENT_EXTEND))
            return RULE_EXTEND;
        if (action->extend) {
            if (!world_slot_starting(slot) && slot->asked != HF_STAGE_STOP)
                return RULE_EXTEND;
            if (++slot->extended > HF_MACHINE_EXTENSIONS)
                return RULE_EXTEND;
        }
        slot->armed = true; /* a deadline that is armed already is set anew */
        return RULE_NONE;
    }
    if (world->armed[action->timer])
        return RULE_TIMER;
    if (action->timer == HF_TIMER_PROBE && world->probing)
        return RULE_PROBE;
    world->armed[action->timer] = true;
    return RULE_NONE;
}

static Rule disarm(World *world, const HfAction *action)
{
    bool *armed = action->timer == HF_TIMER_DEADLINE ? &world->slots[action->slot].armed
                                                     : &world->armed[action->timer];

    if (!*armed)
        return RULE_TIMER;
    *armed = false;
    return RULE_NONE;
}

static Rule forget(WorldSlot *slot)
{
    if (!slot->occupied || slot->process != WORLD_PROCESS_NONE)
        return RULE_SLOT;
    if (slot->armed)
        return RULE_TIMER;
    if (slot->tried || slot->watched)
        return RULE_TRIAL;
    *slot = (WorldSlot){0};
    return RULE_NONE;
}

static Rule answer(World *world, const HfAction *action)
{
    for (unsigned i = 0; i < WORLD_REQUESTS; i++) {
        if (action->id == 0 || world->requests[i].id != action->id)
            continue;
        world->requests[i] = (WorldRequest){0};
        return RULE_NONE;
    }
    return RULE_ONE_ANSWER;
}

static Rule prepare(World *world, const HfEvent *event)
{
    if (world->preparing || world->prepared)
        return RULE_PLAN;
    world->preparing = true;
    for (unsigned i = 0; i < WORLD_REQUESTS && event->type != HF_EVENT_UNBLOCKED; i++)
        world->requests[i].running =
            world->requests[i].id != 0 && world->requests[i].kind <= HF_REQUEST_RESTART;
    return RULE_NONE;
}

static Rule abort_prepare(World *world)
{
    if (!world->preparing)
        return RULE_PLAN;
    world->preparing = false;
    for (unsigned i = 0; i < WORLD_REQUESTS; i++)
        world->requests[i].running = false;
    return RULE_NONE;
}

static Rule drop_prepared(World *world, bool commit)
{
    if (!world->prepared)
        return RULE_PLAN;
    world->prepared = false;
    if (!commit)
        return RULE_NONE;
    world->planned = world->committed = true;
    world->switches = world->switches_next;
    return RULE_NONE;
}

static Rule commit(World *world, const HfAction *action)
{
    if (action->number == 0)
        return drop_prepared(world, true);
    return world_slot_parked(&world->slots[action->slot]) ? RULE_NONE : RULE_ROLLBACK;
}

/* To who is ready there. */
static Rule switch_to(World *world, unsigned side)
{
    if (world->side == side)
        return RULE_SWITCH;
    world->side = side;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world->slots[i].ready && world->slots[i].side == side)
            return RULE_NONE;
    return RULE_SWITCH;
}

static Rule care(bool *under_way, bool on)
{
    if (*under_way == on)
        return RULE_TRIAL;
    *under_way = on;
    return RULE_NONE;
}

static Rule leave(World *world)
{
    world->ended = true;
    return world_occupied(world) == 0 ? RULE_NONE : RULE_EXIT;
}

static Rule end(World *world)
{
    if (world->ending || world->preparing || world->prepared || world->answering)
        return RULE_EXIT;
    world->ending = true;
    world->outage = false;
    return world_occupied(world) == 0 ? RULE_NONE : RULE_EXIT;
}

static Rule watch_queue(World *world, bool on)
{
    if (world->watching == on)
        return RULE_STOP;
    world->watching = on;
    return RULE_NONE;
}

static Rule fallback(World *world, bool runs)
{
    if (world->answering == runs || (runs && !world->planned))
        return RULE_FALLBACK;
    world->answering = runs;
    return RULE_NONE;
}

static Rule probe(World *world, const WorldSlot *slot)
{
    if (world->probing || world->armed[HF_TIMER_PROBE] || !world_slot_active(slot))
        return RULE_PROBE;
    world->probing = true;
    return RULE_NONE;
}

static Rule report(World *world, const HfEvent *event, const HfAction *action)
{
    WorldSlot *slot = &world->slots[action->slot];

    if (action->report == HF_REPORT_STOPPING) {
        if (world->stopping)
            return RULE_STOP;
        stop_begins(world);
    }
    if (action->report == HF_REPORT_READY) {
        if (!world_slot_new(slot) || !slot->ready)
            return RULE_SWITCH;
        slot->serves = true;
    }
    if (action->report == HF_REPORT_PARKED || action->report == HF_REPORT_ROLLED_BACK) {
        bool parks = action->report == HF_REPORT_PARKED;
        if (parks ? !world_slot_active(slot) : !world_slot_parked(slot))
            return RULE_PARKED;
        slot->parked = parks;
        slot->serves = !parks;
    }
    bool given_up = world_slot_new(slot) && slot->side != world->side;
    if (action->report == HF_REPORT_DRAINING && given_up)
        slot->ready = slot->given_up = true; /* it may be ready */
    if (action->report == HF_REPORT_DRAINING &&
        (world_slot_active(slot) || world_slot_parked(slot) || given_up)) {
        slot->asked = HF_STAGE_SETTLE; /* no more than told: a signal, if any, follows */
        slot->serves = slot->parked = false;
    }
    if (action->report == HF_REPORT_LEAVING) {
        if (!world_slot_active(slot))
            return RULE_LEAVING;
        slot->asked = HF_STAGE_STOP; /* by itself */
        slot->serves = false;
    }
    if (action->report == HF_REPORT_RESUMED) {
        if (slot->asked != HF_STAGE_SETTLE || slot->process != WORLD_PROCESS_RUNNING)
            return RULE_RESUMED;
        slot->asked = HF_STAGE_EMPTY;
        slot->serves = true;
    }
    if (hf_report_is_failure(action->report) && event->type == HF_EVENT_LEAVING)
        slot->asked = HF_STAGE_STOP; /* by itself as well */
    if (action->report != HF_REPORT_OUTAGE && action->report != HF_REPORT_RECOVERED)
        return RULE_NONE;
    if (world->outage == (action->report == HF_REPORT_OUTAGE))
        return RULE_OUTAGE;
    world->outage = !world->outage;
    return RULE_NONE;
}

static Rule perform(World *world, const HfEvent *event, const HfAction *action)
{
    WorldSlot *slot = &world->slots[action->slot];

    bool at_the_end = action->type == HF_ACTION_ANSWER || action->type == HF_ACTION_ESCALATE;
    if (world->ended || (world->ending && !at_the_end))
        return RULE_EXIT;
    if (world->executing)
        return RULE_UPGRADE;
    if (slot->occupied && action->number != 0 && action->number != slot->number &&
        action->type != HF_ACTION_SPAWN)
        return RULE_NUMBER;

    switch (action->type) {
    case HF_ACTION_PREPARE:
        return prepare(world, event);
    case HF_ACTION_ABORT_PREPARE:
        return abort_prepare(world);
    case HF_ACTION_COMMIT:
        return commit(world, action);
    case HF_ACTION_DISCARD:
        return drop_prepared(world, false);
    case HF_ACTION_SPAWN:
        return spawn(world, action);
    case HF_ACTION_SIGNAL:
        return signal_slot(slot, world->stopping, event, action->stage);
    case HF_ACTION_REOPEN:
        return reopen(slot);
    case HF_ACTION_ARM:
        return arm(world, event, action);
    case HF_ACTION_DISARM:
        return disarm(world, action);
    case HF_ACTION_FORGET:
        return forget(slot);
    case HF_ACTION_BACKLOG:
        if (world->raised == action->raised)
            return RULE_BACKLOG;
        world->raised = action->raised;
        return RULE_NONE;
    case HF_ACTION_ANSWER:
        return answer(world, action);
    case HF_ACTION_REPORT:
        return report(world, event, action);
    case HF_ACTION_CONTINUE:
        return go_on(slot);
    case HF_ACTION_FALLBACK:
        return fallback(world, action->raised);
    case HF_ACTION_PROBE:
        return probe(world, slot);
    case HF_ACTION_TEST_UPGRADE:
        if (world->testing)
            return RULE_UPGRADE;
        world->testing = true;
        return RULE_NONE;
    case HF_ACTION_UPGRADE:
        if (event->type != HF_EVENT_UPGRADE_TESTED)
            return RULE_UPGRADE;
        world->testing = world->executing = true;
        return RULE_NONE;
    case HF_ACTION_WATCH_QUEUE:
        return watch_queue(world, action->raised);
    case HF_ACTION_END:
        return end(world);
    case HF_ACTION_ESCALATE: /* a rule of its own */
        return RULE_NONE;
    case HF_ACTION_EXIT:
        return leave(world);
    case HF_ACTION_SWITCH:
        return switch_to(world, action->side);
    case HF_ACTION_SAVE:
        return RULE_NONE;
    case HF_ACTION_TRIAL:
        return care(&slot->tried, action->raised);
    case HF_ACTION_WATCH_SIDE:
        return care(&slot->watched, action->raised);
    case HF_ACTION_MAX_:
        break;
    }
    assert(false);
    return RULE_NONE;
}

/* Nobody waits for the probe of a generation that is not active any more. */
Rule world_action(World *world, const HfEvent *event, const HfAction *action)
{
    const WorldSlot *slot = &world->slots[action->slot];
    bool was_active = world_slot_active(slot);
    bool replaces = action->type == HF_ACTION_SPAWN ||
                    (action->type == HF_ACTION_REPORT && action->report == HF_REPORT_WAITING);

    Rule rule = perform(world, event, action);
    if (was_active && !world_slot_active(slot)) {
        world->probing = false;
        world->probed = HF_VERDICT_HEALTHY;
        world->misses = 0;
    }
    if (event->type == HF_EVENT_PROBED && replaces) {
        world->misses = 0;
        world->probe_backoff++;
    }
    return rule;
}
