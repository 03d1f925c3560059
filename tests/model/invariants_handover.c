/* SPDX-License-Identifier: MIT */
#include "invariants_parts.h"

/* What was prepared counts from the step on in which it is committed. */
static const HfMachineLimits *limits_of(const Edge *edge)
{
    return edge->before->prepared ? &edge->before->next : &edge->before->limits;
}

static bool may_settle(const Edge *edge, const WorldSlot *old)
{
    return old->process == WORLD_PROCESS_RUNNING && edge->event->type == HF_EVENT_READY &&
           limits_of(edge)->gentle && edge->before->limits.retires &&
           edge->before->cause != HF_CAUSE_HEALTH && !edge->world_after->stopping;
}

/* Not of one that is lost to who settles still. */
static bool is_switched_from(const Edge *edge)
{
    return !edge->world_after->stopping && !edge_is_loss(edge);
}

static Rule check_gentle(const Edge *edge)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *before = &edge->world_before->slots[i];
        const WorldSlot *after = &edge->world_after->slots[i];
        bool gentle = after->occupied && (after->asked == HF_STAGE_SETTLE || after->stopped);
        if (!world_slot_active(before)) {
            if (gentle && edge->world_after->stopping)
                return RULE_GENTLE;
        } else if (world_slot_draining(after)) {
            if (gentle != (before->side == edge->world_after->side ? may_settle(edge, before)
                                                                   : is_switched_from(edge)))
                return RULE_GENTLE;
        }
    }
    return RULE_NONE;
}

static Rule check_retired(const Edge *edge)
{
    const HfEvent *event = edge->event;

    if (event->type == HF_EVENT_RETIRED &&
        edge->world_after->slots[event->slot].asked != HF_STAGE_STOP)
        return RULE_RETIRED;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *slot = &edge->world_after->slots[i];
        bool left = slot->asked == HF_STAGE_SETTLE && slot->side != edge->world_after->side;
        if (world_slot_draining(slot) && !left && slot->asked < HF_STAGE_STOP &&
            slot->process != WORLD_PROCESS_RUNNING)
            return RULE_RETIRED;
    }
    return RULE_NONE;
}

static Rule check_stopped(const Edge *edge)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *slot = &edge->world_after->slots[i];
        bool retires = slot->occupied && slot->asked == HF_STAGE_RETIRE;
        if (slot->stopped != retires || (slot->stopped && !slot->armed) ||
            slot->stopped != (edge->after->generations[i].stage == HF_STAGE_RETIRE))
            return RULE_STOPPED;
    }
    return RULE_NONE;
}

static Rule check_extend(const Edge *edge)
{
    const HfMachineLimits *limits = &edge->after->limits;
    const HfEvent *event = edge->event;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (edge->after->generations[i].extensions != edge->world_after->slots[i].extended)
            return RULE_EXTEND;
    if (event->type != HF_EVENT_EXTEND)
        return RULE_NONE;
    bool starting = world_slot_starting(&edge->world_before->slots[event->slot]);
    uint64_t most = starting ? limits->ready_timeout : limits->drain_timeout;
    const HfAction *arm = edge_action(edge->actions, NULL, HF_ACTION_ARM);
    return edge->actions->n == 1 && arm && arm->timer == HF_TIMER_DEADLINE &&
                   arm->slot == event->slot && arm->extend && arm->usec <= most &&
                   arm->usec <= event->usec
               ? RULE_NONE
               : RULE_EXTEND;
}

static Rule check_leaving(const Edge *edge)
{
    const HfEvent *event = edge->event;

    if (event->type != HF_EVENT_LEAVING)
        return RULE_NONE;
    const WorldSlot *slot = &edge->world_after->slots[event->slot];
    for (const HfAction *a = edge_action(edge->actions, NULL, HF_ACTION_SIGNAL); a;
         a = edge_action(edge->actions, a, HF_ACTION_SIGNAL))
        if (a->slot == event->slot)
            return RULE_LEAVING;
    return world_slot_draining(slot) && slot->asked == HF_STAGE_STOP && slot->armed ? RULE_NONE
                                                                                    : RULE_LEAVING;
}

/* Whoever resumes was the youngest of those that settled whole. */
static Rule check_resumed(const Edge *edge)
{
    const WorldSlot *expected = edge_resuming(edge);

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *before = &edge->world_before->slots[i];
        bool resumed =
            world_slot_draining(before) && world_slot_active(&edge->world_after->slots[i]);
        if (resumed != (before == expected))
            return RULE_RESUMED;
    }
    return RULE_NONE;
}

Rule invariants_handover(const Edge *edge)
{
    Rule (*const checks[])(const Edge *) = {check_gentle, check_retired, check_stopped,
                                            check_extend, check_leaving, check_resumed};

    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        Rule rule = checks[i](edge);
        if (rule != RULE_NONE)
            return rule;
    }
    return RULE_NONE;
}
