#include "invariants_parts.h"

static Rule check_probe(const Edge *edge)
{
    const World *world = edge->world_after;
    bool due = edge_find(world, world_slot_active) && edge->after->limits.probe_every > 0;

    if (world->armed[HF_TIMER_PROBE] != edge->after->probe)
        return RULE_TIMER;
    return world->armed[HF_TIMER_PROBE] + world->probing == (due ? 1 : 0) ? RULE_NONE : RULE_PROBE;
}

static unsigned at_most(unsigned n, unsigned most)
{
    return n < most ? n : most;
}

static const HfAction *find_report(const Edge *edge, HfReport report)
{
    for (const HfAction *a = edge_action(edge->actions, NULL, HF_ACTION_REPORT); a;
         a = edge_action(edge->actions, a, HF_ACTION_REPORT))
        if (a->report == report)
            return a;
    return NULL;
}

static Rule check_verdict(const Edge *edge)
{
    unsigned limit = edge->after->limits.probe_failures;
    unsigned misses = at_most(edge->world_before->misses + 1, limit);
    bool probed = edge->event->type == HF_EVENT_PROBED;
    bool failed = probed && edge->event->verdict == HF_VERDICT_FAILED;
    bool saturated = probed && edge->event->verdict == HF_VERDICT_SATURATED;
    const HfAction *unhealthy = find_report(edge, HF_REPORT_UNHEALTHY);

    if (edge->after->misses != at_most(edge->world_after->misses, limit) ||
        saturated != (find_report(edge, HF_REPORT_SATURATED) != NULL) ||
        failed != (unhealthy != NULL) || (unhealthy && unhealthy->status != (int)misses))
        return RULE_VERDICT;
    return RULE_NONE;
}

/* Whether the event has to replace an active generation that nobody replaces yet. */
static bool replaces(const Edge *edge)
{
    const HfEvent *event = edge->event;

    switch (event->type) {
    case HF_EVENT_REQUEST:
        return event->request == HF_REQUEST_RELOAD || event->request == HF_REQUEST_RESTART;
    case HF_EVENT_MAIN_EXITED:
    case HF_EVENT_GONE:
        return world_slot_active(&edge->world_before->slots[event->slot]);
    case HF_EVENT_OVERSIZE:
        return true;
    case HF_EVENT_TIMER:
        return event->timer == HF_TIMER_RECYCLE;
    case HF_EVENT_PROBED:
        return event->verdict == HF_VERDICT_FAILED &&
               edge->world_before->misses + 1 >= edge->before->limits.probe_failures;
    case HF_EVENT_START:
    case HF_EVENT_PREPARED:
    case HF_EVENT_PREPARE_FAILED:
    case HF_EVENT_SPAWN_FAILED:
    case HF_EVENT_READY:
    case HF_EVENT_STOP_SIGNAL:
    case HF_EVENT_REOPEN:
    case HF_EVENT_RETIRED:
    case HF_EVENT_EXTEND:
    case HF_EVENT_ANSWERER_GONE:
    case HF_EVENT_MAX_:
        break;
    }
    return false;
}

static Rule check_replace(const Edge *edge)
{
    HfEventType type = edge->event->type;
    bool own_idea = type == HF_EVENT_OVERSIZE || type == HF_EVENT_PROBED ||
                    edge_is_timer(edge->event, HF_TIMER_RECYCLE);
    bool changed = edge->after->phase != edge->before->phase;
    HfCause cause = type == HF_EVENT_PROBED ? HF_CAUSE_HEALTH : HF_CAUSE_RECYCLE;

    if (!edge_wanted(edge->world_after))
        return RULE_NONE;
    if (edge->before->phase == HF_PHASE_IDLE && changed != replaces(edge))
        return RULE_REPLACE;
    if (own_idea && edge->before->phase != HF_PHASE_IDLE && changed)
        return RULE_REPLACE;
    return own_idea && changed && edge->after->cause != cause ? RULE_REPLACE : RULE_NONE;
}

static Rule check_recycle(const Edge *edge)
{
    const World *world = edge->world_after;
    bool armed = world->armed[HF_TIMER_RECYCLE];

    if (armed != edge->after->recycle)
        return RULE_TIMER;
    if (armed && !edge_find(world, world_slot_active))
        return RULE_RECYCLE;
    return edge->after->phase == HF_PHASE_IDLE && edge->after->limits.recycle_every > 0 && !armed
               ? RULE_RECYCLE
               : RULE_NONE;
}

Rule invariants_health(const Edge *edge)
{
    Rule (*const checks[])(const Edge *) = {check_probe, check_verdict, check_replace,
                                            check_recycle};

    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
        Rule rule = checks[i](edge);
        if (rule != RULE_NONE)
            return rule;
    }
    return RULE_NONE;
}
