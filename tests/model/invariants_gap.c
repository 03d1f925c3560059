/* SPDX-License-Identifier: MIT */
#include "invariants_parts.h"

static bool overdue_expected(const Edge *edge)
{
    bool anew = edge_action(edge->actions, NULL, HF_ACTION_SPAWN) &&
                (edge_action(edge->actions, NULL, HF_ACTION_COMMIT) || !edge->before->outage);

    if (!world_gap(edge->world_after) || anew || edge->event->type == HF_EVENT_FALLBACK_GONE)
        return false;
    if (edge_is_timer(edge->event, HF_TIMER_BUSY))
        return true;
    return edge_is_failure(edge) ? edge->before->outage : edge->before->overdue;
}

static bool outage_expected(const Edge *edge)
{
    return world_gap(edge->world_after) &&
           (edge->world_before->outage || edge_is_timer(edge->event, HF_TIMER_BUSY));
}

Rule invariants_gap(const Edge *edge)
{
    const HfMachine *machine = edge->after;
    const World *world = edge->world_after;
    bool gap = world_gap(world);
    bool finite = machine->limits.busy_after != HF_USEC_INFINITY;

    if (machine->overdue != overdue_expected(edge))
        return RULE_OVERDUE;
    if (world->armed[HF_TIMER_BUSY] != (gap && finite && !machine->overdue))
        return RULE_BUSY;
    if (world->outage != outage_expected(edge) || world->outage != machine->outage)
        return RULE_OUTAGE;
    if (world->answering != (gap && machine->overdue && world->planned))
        return RULE_FALLBACK;
    return RULE_NONE;
}
