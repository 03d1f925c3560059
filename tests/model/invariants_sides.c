/* SPDX-License-Identifier: MIT */
#include "invariants_parts.h"

/* What was prepared counts from the step on in which it is committed. */
static const HfMachineLimits *limits_of(const Edge *edge)
{
    return edge->before->prepared ? &edge->before->next : &edge->before->limits;
}

static bool plan_switches(const World *world)
{
    return world->prepared ? world->switches_next : world->switches;
}

/* Is anybody but the one that starts there on that side, who may accept from it until it is gone?
 */
static bool is_taken(const World *world, unsigned side)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *slot = &world->slots[i];
        if (slot->occupied && !world_slot_starting(slot) && slot->side == side)
            return true;
    }
    return false;
}

static Rule check_start(const Edge *edge)
{
    const HfAction *spawn = edge_action(edge->actions, NULL, HF_ACTION_SPAWN);
    const World *world = edge->world_after;
    World planned = *edge->world_before;

    if (!spawn)
        return RULE_NONE;
    if (edge->event->type == HF_EVENT_PREPARED) {
        planned.prepared = true;
        planned.switches_next = edge->event->switches;
    }
    if (edge_action(edge->actions, NULL, HF_ACTION_DISCARD))
        planned.prepared = false;
    bool standby = edge_find(world, world_slot_active) && plan_switches(&planned) &&
                   spawn->cause != HF_CAUSE_HEALTH;
    if ((spawn->side != world->side) != standby || (standby && is_taken(world, spawn->side)))
        return RULE_SIDE;
    return edge_find(world, world_slot_active) && edge_find(world, world_slot_parked) ? RULE_PARKED
                                                                                      : RULE_NONE;
}

static Rule check_switch(const Edge *edge)
{
    const World *world = edge->world_after;
    bool switched = world->side != edge->world_before->side;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world_slot_active(&world->slots[i]) && world->slots[i].side != world->side)
            return RULE_SWITCH;
    return switched && !edge_successor(edge) && !edge_resuming(edge) && !edge_is_rollback(edge)
               ? RULE_SWITCH
               : RULE_NONE;
}

static Rule check_trial(const Edge *edge)
{
    const HfEvent *event = edge->event;
    const WorldSlot *slot = &edge->world_before->slots[event->slot];
    const World *before = edge->world_before;
    const WorldSlot *successor = edge_successor(edge);
    bool due = event->type == HF_EVENT_READY && limits_of(edge)->tries &&
               slot->side != before->side && edge_find(before, world_slot_active);

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        bool tries = world_slot_trying(&edge->world_after->slots[i]);
        bool tried = world_slot_trying(&before->slots[i]);
        if (tries && !tried && !(due && event->slot == i))
            return RULE_TRIAL;
    }
    if (event->type == HF_EVENT_READY && due == (successor != NULL))
        return RULE_TRIAL;
    if (!successor || event->type == HF_EVENT_READY)
        return RULE_NONE;
    return (event->type == HF_EVENT_TRIED && event->passed) ||
                   (edge_is_loss(edge) && !edge_serves_on(edge))
               ? RULE_NONE
               : RULE_TRIAL;
}

static Rule check_remains(const Edge *edge)
{
    const WorldSlot *before = &edge->world_before->slots[edge->event->slot];
    const WorldSlot *after = &edge->world_after->slots[edge->event->slot];

    if (edge->event->type != HF_EVENT_MAIN_EXITED || !world_slot_active(before))
        return RULE_NONE;
    return world_slot_active(after) == edge_serves_on(edge) ? RULE_NONE : RULE_SERVES_ON;
}

static bool parks(const Edge *edge, const WorldSlot *old)
{
    return edge_successor(edge) && old->side != edge->world_after->side &&
           edge->before->cause == HF_CAUSE_RELOAD && limits_of(edge)->park_time > 0 &&
           edge->world_before->switches && world_slot_whole(old) && !edge_is_loss(edge);
}

static Rule check_parked(const Edge *edge)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *before = &edge->world_before->slots[i];
        const WorldSlot *after = &edge->world_after->slots[i];
        if (world_slot_active(before) && world_slot_parked(after) != parks(edge, before))
            return RULE_PARKED;
        if (!world_slot_parked(before))
            continue;
        if (world_slot_active(after) != edge_is_rollback(edge))
            return RULE_ROLLBACK;
        if (world_slot_draining(after) && after->asked < HF_STAGE_STOP)
            return RULE_PARKED;
    }
    return RULE_NONE;
}

/* The plan of who serves again is the current one, and its listeners are switched. */
static Rule check_rollback(const Edge *edge)
{
    const HfAction *commit = edge_action(edge->actions, NULL, HF_ACTION_COMMIT);
    const WorldSlot *parked = edge_find(edge->world_before, world_slot_parked);
    bool rolls = commit && commit->number != 0;

    if (rolls != edge_is_rollback(edge))
        return RULE_ROLLBACK;
    if (!rolls)
        return RULE_NONE;
    return commit->number == parked->number &&
                   edge->world_after->side != edge->world_before->side && edge->actions->n > 0 &&
                   edge_find(edge->world_after, world_slot_whole)
               ? RULE_NONE
               : RULE_ROLLBACK;
}

Rule invariants_sides(const Edge *edge)
{
    Rule (*const checks[])(const Edge *) = {check_start,   check_switch, check_trial,
                                            check_remains, check_parked, check_rollback};

    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        Rule rule = checks[i](edge);
        if (rule != RULE_NONE)
            return rule;
    }
    return RULE_NONE;
}
