/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "world.h"

_Static_assert(HF_EVENT_MAX_ == 26, "say when the new event may come");
_Static_assert(HF_TIMER_MAX_ == 7, "say when the new timer may pass");
_Static_assert(HF_REQUEST_MAX_ == 6, "say when the new request may come");

typedef struct List {
    HfEvent *events;
    size_t n;
} List;

static void push(List *list, HfEvent event)
{
    assert(list->n < WORLD_EVENTS_MAX);
    list->events[list->n++] = event;
}

static int status_of(HfEventType type)
{
    if (type == HF_EVENT_MAIN_EXITED)
        return WORLD_STATUS_EXITED;
    if (type == HF_EVENT_SPAWN_FAILED)
        return WORLD_STATUS_NOT_FOUND;
    return type == HF_EVENT_GONE ? WORLD_STATUS_GONE : 0;
}

static void push_of_slot(List *list, const World *world, HfEventType type, unsigned slot)
{
    push(list, (HfEvent){.type = type,
                         .slot = slot,
                         .number = world->slots[slot].number,
                         .status = status_of(type)});
}

static void push_deadline(List *list, const World *world, unsigned slot)
{
    push(list, (HfEvent){.type = HF_EVENT_TIMER,
                         .timer = HF_TIMER_DEADLINE,
                         .slot = slot,
                         .number = world->slots[slot].number});
}

/* In a stubborn world deadlines pass, and processes leave, in the order of age. */
static bool is_turn(const World *world, unsigned slot)
{
    bool killed = world->slots[slot].asked == HF_STAGE_KILL;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *other = &world->slots[i];
        if (world_slot_draining(other) && other->number < world->slots[slot].number &&
            (other->asked == HF_STAGE_KILL) == killed)
            return false;
    }
    return true;
}

static void push_stubborn(List *list, const World *world, unsigned i)
{
    const WorldSlot *slot = &world->slots[i];

    if (world_slot_draining(slot)) {
        if (slot->asked == HF_STAGE_KILL && is_turn(world, i))
            push_of_slot(list, world, HF_EVENT_GONE, i);
        if (slot->asked < HF_STAGE_KILL && is_turn(world, i))
            push_deadline(list, world, i);
    } else if (world_slot_active(slot)) {
        push_of_slot(list, world, HF_EVENT_MAIN_EXITED, i);
    } else if (world_slot_starting(slot)) {
        push_of_slot(list, world, HF_EVENT_READY, i);
        push_of_slot(list, world, HF_EVENT_GONE, i);
    }
}

static void push_probed(List *list, const World *world, unsigned slot)
{
    for (HfVerdict verdict = 0; verdict < HF_VERDICT_MAX_; verdict++)
        push(list, (HfEvent){.type = HF_EVENT_PROBED,
                             .slot = slot,
                             .number = world->slots[slot].number,
                             .verdict = verdict});
}

static bool extensible(const WorldSlot *slot)
{
    return slot->extended < HF_MACHINE_EXTENSIONS &&
           (world_slot_starting(slot) || (slot->occupied && slot->asked == HF_STAGE_STOP));
}

static void push_extend(List *list, const World *world, unsigned slot, uint64_t usec)
{
    push(list, (HfEvent){.type = HF_EVENT_EXTEND,
                         .slot = slot,
                         .number = world->slots[slot].number,
                         .usec = usec});
}

/* What a generation does beyond starting and leaving. */
static void push_life(List *list, const World *world, const Bounds *bounds, unsigned i)
{
    const WorldSlot *slot = &world->slots[i];
    bool active = world_slot_active(slot);
    bool leaves = active || world_slot_trying(slot);

    if (slot->occupied && slot->asked == HF_STAGE_RETIRE)
        push_of_slot(list, world, HF_EVENT_RETIRED, i);
    if (bounds->extend && extensible(slot))
        push_extend(list, world, i, HF_USEC_INFINITY);
    if (bounds->leave && leaves && slot->process == WORLD_PROCESS_RUNNING)
        push_of_slot(list, world, HF_EVENT_LEAVING, i);
    if (active && world->probing)
        push_probed(list, world, i);
    if (active && bounds->limits.recycle_every > 0)
        push_of_slot(list, world, HF_EVENT_OVERSIZE, i);
}

static void push_tried(List *list, const World *world, unsigned slot)
{
    push_of_slot(list, world, HF_EVENT_TRIED, slot);
    push_of_slot(list, world, HF_EVENT_TRIED, slot);
    list->events[list->n - 1].passed = true;
}

static void push_slot(List *list, const World *world, unsigned i)
{
    const WorldSlot *slot = &world->slots[i];
    bool undecided = slot->process == WORLD_PROCESS_UNKNOWN;
    bool running = slot->process == WORLD_PROCESS_RUNNING || undecided;

    if (undecided)
        push_of_slot(list, world, HF_EVENT_SPAWN_FAILED, i);
    if (running && world_slot_starting(slot))
        push_of_slot(list, world, HF_EVENT_READY, i);
    if (running && world_slot_starting(slot) && slot->side != world->side)
        push_of_slot(list, world, HF_EVENT_TRIED, i);
    if (running)
        push_of_slot(list, world, HF_EVENT_MAIN_EXITED, i);
    if (running && world->switches && world_slot_active(slot)) {
        push_of_slot(list, world, HF_EVENT_MAIN_EXITED, i);
        list->events[list->n - 1].remain = true;
    }
    if (slot->tried)
        push_tried(list, world, i);
    if (slot->watched)
        push_of_slot(list, world, HF_EVENT_SIDE_EMPTY, i);
    if (slot->process != WORLD_PROCESS_NONE)
        push_of_slot(list, world, HF_EVENT_GONE, i);
    if (slot->armed)
        push_deadline(list, world, i);
}

static void push_requests(List *list, const World *world, const Bounds *bounds)
{
    unsigned waiting = 0;
    uint64_t id = 1;

    for (unsigned i = 0; i < WORLD_REQUESTS; i++) {
        waiting += world->requests[i].id != 0;
        if (world->requests[i].id >= id)
            id = world->requests[i].id + 1;
    }
    for (HfRequestKind kind = HF_REQUEST_NONE + 1; kind < HF_REQUEST_MAX_; kind++) {
        if ((kind == HF_REQUEST_ROLLBACK && bounds->limits.park_time == 0) ||
            (kind == HF_REQUEST_UPGRADE && !bounds->upgrades))
            continue;
        push(list, (HfEvent){.type = HF_EVENT_REQUEST, .request = kind});
        if (waiting < bounds->requests)
            push(list, (HfEvent){.type = HF_EVENT_REQUEST, .request = kind, .id = id});
    }
}

size_t world_events(const World *world, const Bounds *bounds, HfEvent ret[WORLD_EVENTS_MAX])
{
    List list = {.events = ret};

    if (world->ended)
        return 0;
    if (!world->started) {
        push(&list, (HfEvent){.type = HF_EVENT_START});
        push(&list, (HfEvent){.type = HF_EVENT_STOP_SIGNAL});
        return list.n;
    }
    if (world->watching)
        push(&list, (HfEvent){.type = HF_EVENT_QUEUE_SERVED});
    if (world->watching && !bounds->stops)
        return list.n;
    if (world->ending)
        push(&list, (HfEvent){.type = HF_EVENT_ENDED});
    if (world->preparing) {
        push(&list, (HfEvent){.type = HF_EVENT_PREPARED, .switches = bounds->switches});
        if (bounds->mixed)
            push(&list, (HfEvent){.type = HF_EVENT_PREPARED});
        if (bounds->takeover && world->last_number == 0)
            push(&list, (HfEvent){.type = HF_EVENT_PREPARED, .takeover = true});
        push(&list, (HfEvent){.type = HF_EVENT_PREPARE_FAILED});
        push(&list, (HfEvent){.type = HF_EVENT_UNBLOCKED});
    }
    for (HfTimer timer = 0; timer < HF_TIMER_MAX_; timer++)
        if (world->armed[timer])
            push(&list, (HfEvent){.type = HF_EVENT_TIMER, .timer = timer});
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        (bounds->stubborn ? push_stubborn : push_slot)(&list, world, i);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        push_life(&list, world, bounds, i);
    if (world->answering)
        push(&list, (HfEvent){.type = HF_EVENT_FALLBACK_GONE});
    push_requests(&list, world, bounds);
    if (bounds->mortal)
        push(&list, (HfEvent){.type = HF_EVENT_ADOPT});
    if (world->executing)
        push(&list, (HfEvent){.type = HF_EVENT_RESUME});
    if (world->testing) {
        push(&list, (HfEvent){.type = HF_EVENT_UPGRADE_TESTED});
        push(&list, (HfEvent){.type = HF_EVENT_UPGRADE_FAILED});
    }
    push(&list, (HfEvent){.type = HF_EVENT_STOP_SIGNAL});
    push(&list, (HfEvent){.type = HF_EVENT_REOPEN});
    return list.n;
}

static void push_late_life(List *list, const World *world, unsigned i)
{
    const WorldSlot *slot = &world->slots[i];
    bool active = world_slot_active(slot);

    if (!slot->occupied || slot->asked != HF_STAGE_RETIRE)
        push_of_slot(list, world, HF_EVENT_RETIRED, i);
    push_extend(list, world, i, extensible(slot) ? 0 : HF_USEC_INFINITY);
    if (!active || !world->probing)
        push_probed(list, world, i);
    if (!active)
        push_of_slot(list, world, HF_EVENT_OVERSIZE, i);
    if (!world_slot_whole(slot) && !world_slot_trying(slot))
        push_of_slot(list, world, HF_EVENT_LEAVING, i);
    if (active || world_slot_trying(slot) || world_slot_parked(slot))
        push_of_slot(list, world, HF_EVENT_SPAWN_FAILED, i);
    if (!slot->tried) {
        push_tried(list, world, i);
        if (world_slot_starting(slot) && slot->side != world->side)
            list->events[list->n - 2] = list->events[list->n - 1];
    }
    if (!slot->watched)
        push_of_slot(list, world, HF_EVENT_SIDE_EMPTY, i);
}

/* Of the generation that was in the slot before. */
static void push_stale(List *list, unsigned slot)
{
    push(list, (HfEvent){.type = HF_EVENT_MAIN_EXITED, .slot = slot});
    push(list, (HfEvent){.type = HF_EVENT_GONE, .slot = slot});
    push(list, (HfEvent){.type = HF_EVENT_TIMER, .timer = HF_TIMER_DEADLINE, .slot = slot});
}

size_t world_stray_events(const World *world, HfEvent ret[WORLD_EVENTS_MAX])
{
    List list = {.events = ret};
    bool empty_done = false;

    if (!world->started || world->ended)
        return 0;
    if (!world->watching)
        push(&list, (HfEvent){.type = HF_EVENT_QUEUE_SERVED});
    if (!world->ending)
        push(&list, (HfEvent){.type = HF_EVENT_ENDED});
    if (!world->preparing) {
        push(&list, (HfEvent){.type = HF_EVENT_PREPARED});
        push(&list, (HfEvent){.type = HF_EVENT_PREPARE_FAILED});
        push(&list, (HfEvent){.type = HF_EVENT_UNBLOCKED});
    }
    if (!world->testing) {
        push(&list, (HfEvent){.type = HF_EVENT_UPGRADE_TESTED});
        push(&list, (HfEvent){.type = HF_EVENT_UPGRADE_FAILED});
        push(&list, (HfEvent){.type = HF_EVENT_RESUME});
    }
    if (!world->answering)
        push(&list, (HfEvent){.type = HF_EVENT_FALLBACK_GONE});
    for (HfTimer timer = HF_TIMER_DEADLINE + 1; timer < HF_TIMER_MAX_; timer++)
        if (!world->armed[timer])
            push(&list, (HfEvent){.type = HF_EVENT_TIMER, .timer = timer});
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *slot = &world->slots[i];
        if (!slot->occupied && empty_done)
            continue;
        if (slot->occupied)
            push_stale(&list, i);
        push_late_life(&list, world, i);
        if (!slot->armed)
            push_deadline(&list, world, i);
        if (!world_slot_starting(slot))
            push_of_slot(&list, world, HF_EVENT_READY, i);
        if (!slot->occupied || slot->process == WORLD_PROCESS_EXITED)
            push_of_slot(&list, world, HF_EVENT_MAIN_EXITED, i);
        if (!slot->occupied) {
            push_of_slot(&list, world, HF_EVENT_SPAWN_FAILED, i);
            push_of_slot(&list, world, HF_EVENT_GONE, i);
            empty_done = true;
        }
    }
    return list.n;
}
