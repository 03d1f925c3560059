/* SPDX-License-Identifier: MIT */
#include "edge.h"

const WorldSlot *edge_find(const World *world, bool (*is)(const WorldSlot *))
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (is(&world->slots[i]))
            return &world->slots[i];
    return NULL;
}

unsigned edge_count(const World *world, bool (*is)(const WorldSlot *))
{
    unsigned n = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        n += is(&world->slots[i]);
    return n;
}

bool edge_wanted(const World *world)
{
    return world->started && !world->stopping && !world->ending && !world->ended;
}

const HfAction *edge_action(const HfActions *actions, const HfAction *from, HfActionType type)
{
    for (const HfAction *a = from ? from + 1 : actions->list; a < actions->list + actions->n; a++)
        if (a->type == type)
            return a;
    return NULL;
}

bool edge_is_timer(const HfEvent *event, HfTimer timer)
{
    return event->type == HF_EVENT_TIMER && event->timer == timer;
}

bool edge_is_loss(const Edge *edge)
{
    HfEventType type = edge->event->type;

    return (type == HF_EVENT_MAIN_EXITED || type == HF_EVENT_GONE || type == HF_EVENT_LEAVING) &&
           world_slot_active(&edge->world_before->slots[edge->event->slot]);
}

bool edge_serves_on(const Edge *edge)
{
    return edge->event->type == HF_EVENT_MAIN_EXITED && edge->event->remain &&
           edge->world_before->switches && edge->before->limits.retires &&
           !edge->before->limits.exit_with_service &&
           world_slot_active(&edge->world_before->slots[edge->event->slot]);
}

const WorldSlot *edge_successor(const Edge *edge)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world_slot_new(&edge->world_before->slots[i]) &&
            world_slot_active(&edge->world_after->slots[i]))
            return &edge->world_after->slots[i];
    return NULL;
}

bool edge_is_rollback(const Edge *edge)
{
    return edge->event->type == HF_EVENT_REQUEST && edge->event->request == HF_REQUEST_ROLLBACK &&
           edge_find(edge->world_before, world_slot_parked) && edge_wanted(edge->world_before);
}

const WorldSlot *edge_resuming(const Edge *edge)
{
    const WorldSlot *found = NULL;
    bool lost = edge_is_loss(edge) && !edge_serves_on(edge);

    for (unsigned i = 0; lost && i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *slot = &edge->world_before->slots[i];
        if (slot->occupied && slot->asked == HF_STAGE_SETTLE && !slot->given_up &&
            slot->process == WORLD_PROCESS_RUNNING && (!found || slot->number > found->number))
            found = slot;
    }
    return found;
}

bool edge_is_restart(const Edge *edge)
{
    return edge->event->type == HF_EVENT_RESUME || edge->event->type == HF_EVENT_ADOPT;
}

bool edge_is_failure(const Edge *edge)
{
    HfEventType type = edge->event->type;

    if (edge->world_after->stopping)
        return false;
    if (type == HF_EVENT_PREPARE_FAILED)
        return true;
    return (type == HF_EVENT_SPAWN_FAILED || type == HF_EVENT_MAIN_EXITED ||
            type == HF_EVENT_GONE || type == HF_EVENT_LEAVING ||
            (type == HF_EVENT_TRIED && !edge->event->passed) ||
            edge_is_timer(edge->event, HF_TIMER_DEADLINE)) &&
           world_slot_new(&edge->world_before->slots[edge->event->slot]);
}
