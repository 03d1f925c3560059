/* SPDX-License-Identifier: MIT */
#include "invariants_parts.h"

static Rule check_probe(const Edge *edge)
{
    const World *world = edge->world_after;
    bool due = edge_find(world, world_slot_active) && edge->after->limits.probe_every > 0;

    return world->armed[HF_TIMER_PROBE] + world->probing == (due ? 1 : 0) ? RULE_NONE : RULE_PROBE;
}

static unsigned at_most(unsigned n, unsigned most)
{
    return n < most ? n : most;
}

static const HfAction *find_report(const Edge *edge, HfReport report, bool doubted)
{
    for (const HfAction *a = edge_action(edge->actions, NULL, HF_ACTION_REPORT); a;
         a = edge_action(edge->actions, a, HF_ACTION_REPORT))
        if (a->report == report && a->doubted == doubted)
            return a;
    return NULL;
}

/* What a probe has to lead to, by the world's own count. */
typedef struct Finding {
    unsigned base;     /* misses that it takes while no replacement was in vain */
    unsigned patience; /* that it takes now; 0: however many */
    unsigned misses;   /* of them, with this one */
    bool changed;
    bool ill;
} Finding;

static Finding find(const Edge *edge)
{
    const World *before = edge->world_before;
    const HfMachineLimits *limits = &edge->before->limits;
    HfVerdict verdict = edge->event->verdict;
    bool changed = verdict != before->probed;
    Finding finding = {
        .base = world_patience(limits, 0, verdict),
        .patience = world_patience(limits, before->probe_backoff, verdict),
        .changed = changed,
    };
    finding.misses = at_most((changed ? 0 : before->misses) + 1, finding.patience);
    finding.ill = finding.patience > 0 && finding.misses == finding.patience;
    return finding;
}

static bool reports_rightly(const Edge *edge, HfReport report, bool doubted, bool due,
                            unsigned status)
{
    const HfAction *action = find_report(edge, report, doubted);

    return due ? action && action->status == (int)status : !action;
}

static Rule check_verdict(const Edge *edge)
{
    const World *world = edge->world_after;
    const HfMachine *after = edge->after;
    unsigned most = after->limits.probe_doublings; /* it may have doubted more under others */
    bool probed = edge->event->type == HF_EVENT_PROBED;
    HfVerdict verdict = edge->event->verdict;
    const Finding finding = find(edge);
    unsigned before = finding.changed ? 0 : edge->world_before->misses;
    bool doubted = edge->before->phase == HF_PHASE_IDLE && finding.patience > finding.base &&
                   finding.misses == finding.base && before < finding.misses;
    const struct {
        HfReport report;
        bool doubted;
        bool due;
        unsigned status;
    } reports[] = {
        {HF_REPORT_HEALTHY, false, verdict == HF_VERDICT_HEALTHY && finding.changed, 0},
        {HF_REPORT_SATURATED, false, verdict == HF_VERDICT_SATURATED && finding.changed, 0},
        {HF_REPORT_HUNG, false, verdict == HF_VERDICT_HUNG && (finding.changed || finding.ill),
         finding.misses},
        {HF_REPORT_UNHEALTHY, false, verdict == HF_VERDICT_FAILED, finding.misses},
        {HF_REPORT_UNHEALTHY, true, doubted, finding.patience},
    };

    for (size_t i = 0; i < sizeof(reports) / sizeof(*reports); i++)
        if (!reports_rightly(edge, reports[i].report, reports[i].doubted, probed && reports[i].due,
                             reports[i].status))
            return RULE_VERDICT;
    if (after->probed != world->probed ||
        after->misses != at_most(world->misses, world_patience(&after->limits, world->probe_backoff,
                                                               world->probed)) ||
        at_most(after->probe_backoff, most) != at_most(world->probe_backoff, most))
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
    case HF_EVENT_LEAVING:
        return edge_is_loss(edge) && !edge_resuming(edge);
    case HF_EVENT_OVERSIZE:
        return true;
    case HF_EVENT_TIMER:
        return event->timer == HF_TIMER_RECYCLE;
    case HF_EVENT_PROBED:
        return find(edge).ill;
    case HF_EVENT_TRIED:
    case HF_EVENT_SIDE_EMPTY:
    case HF_EVENT_UNBLOCKED:
    case HF_EVENT_QUEUE_SERVED:
    case HF_EVENT_ENDED:
    case HF_EVENT_START:
    case HF_EVENT_PREPARED:
    case HF_EVENT_PREPARE_FAILED:
    case HF_EVENT_SPAWN_FAILED:
    case HF_EVENT_READY:
    case HF_EVENT_STOP_SIGNAL:
    case HF_EVENT_REOPEN:
    case HF_EVENT_RETIRED:
    case HF_EVENT_EXTEND:
    case HF_EVENT_FALLBACK_GONE:
    case HF_EVENT_UPGRADE_TESTED:
    case HF_EVENT_UPGRADE_FAILED:
    case HF_EVENT_RESUME:
    case HF_EVENT_ADOPT:
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
