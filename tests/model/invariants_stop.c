/* SPDX-License-Identifier: MIT */
#include "invariants_parts.h"

static bool is_wish(const HfEvent *event)
{
    return event->type == HF_EVENT_STOP_SIGNAL ||
           (event->type == HF_EVENT_REQUEST && event->request == HF_REQUEST_STOP);
}

/* The starting generation comes to nothing in this step. */
static bool is_failed_start(const Edge *edge)
{
    HfEventType type = edge->event->type;

    return (type == HF_EVENT_SPAWN_FAILED || type == HF_EVENT_MAIN_EXITED ||
            type == HF_EVENT_GONE || edge_is_timer(edge->event, HF_TIMER_DEADLINE)) &&
           world_slot_new(&edge->world_before->slots[edge->event->slot]);
}

static HfStopReason reason_expected(const Edge *edge)
{
    const HfMachine *before = edge->before;
    bool active = edge_find(edge->world_before, world_slot_active);
    bool starting = edge_find(edge->world_before, world_slot_new);
    bool exits = before->limits.exit_with_service;
    bool loss = edge_is_loss(edge) && !edge_resuming(edge) && !edge_serves_on(edge);

    if (is_wish(edge->event) && (before->wait != HF_WAIT_NONE || !active))
        return before->wait != HF_WAIT_NONE                ? before->stop
               : edge->event->type == HF_EVENT_STOP_SIGNAL ? HF_REASON_SIGNAL
                                                           : HF_REASON_REQUEST;
    if (edge->event->type == HF_EVENT_QUEUE_SERVED)
        return before->stop;
    if (edge_is_timer(edge->event, HF_TIMER_STOP) && (before->wait == HF_WAIT_QUEUE || !active))
        return before->stop;
    if (loss && exits && !starting)
        return HF_REASON_SERVICE;
    if (loss && before->wait == HF_WAIT_QUEUE)
        return before->stop;
    if (is_failed_start(edge) && before->takeover)
        return HF_REASON_TAKEOVER;
    if (is_failed_start(edge) && exits && before->cause == HF_CAUSE_START)
        return HF_REASON_SERVICE;
    return HF_REASON_NONE;
}

static HfStopWait wait_expected(const Edge *edge)
{
    HfStopWait before = edge->before->wait;

    if (edge->world_after->stopping || edge->world_after->ending || edge->world_after->ended ||
        edge_is_restart(edge))
        return HF_WAIT_NONE;
    if (is_wish(edge->event) && before == HF_WAIT_NONE)
        return edge->before->limits.stop_delay > 0 ? HF_WAIT_DELAY : HF_WAIT_QUEUE;
    return edge_is_timer(edge->event, HF_TIMER_STOP) ? HF_WAIT_QUEUE : before;
}

static int status_expected(const Edge *edge, HfStopReason reason)
{
    if (reason == HF_REASON_TAKEOVER)
        return 1;
    if (reason != HF_REASON_SERVICE)
        return 0;
    if (edge->event->type == HF_EVENT_TIMER)
        return 1;
    return edge->event->type == HF_EVENT_LEAVING ? -1 : edge->event->status;
}

static Rule check_begin(const Edge *edge)
{
    const HfMachine *after = edge->after;
    bool begins = edge->world_after->stopping && !edge->world_before->stopping;
    bool could = !edge->world_before->stopping && !edge->world_before->ending;
    HfStopReason reason = could ? reason_expected(edge) : HF_REASON_NONE;

    if (begins != (reason != HF_REASON_NONE))
        return RULE_STOP;
    if (begins && after->stop != reason)
        return RULE_STOP;
    return begins && after->status != status_expected(edge, reason) ? RULE_STATUS : RULE_NONE;
}

/* Who asked for the stop twice, and nobody else, hurries it. */
static Rule check_hurried(const Edge *edge)
{
    const HfMachine *after = edge->after;
    bool begins = edge->world_after->stopping && !edge->world_before->stopping;
    bool signal = edge->event->type == HF_EVENT_STOP_SIGNAL;
    HfStage due = edge->before->stop_stage;

    if (!edge->world_after->stopping || edge->world_after->ended)
        return RULE_NONE;
    if (begins)
        due = signal && edge->before->wait == HF_WAIT_QUEUE ? HF_STAGE_TERM : HF_STAGE_STOP;
    else if (signal && due < HF_STAGE_KILL && !edge->world_before->ending)
        due++;
    /* nothing is left to hurry */
    return after->stop_stage == due || edge->world_after->ending ? RULE_NONE : RULE_STOP;
}

/* What is left at the end, too. */
static Rule check_hurried_end(const Edge *edge)
{
    bool due = edge->event->type == HF_EVENT_STOP_SIGNAL && edge->world_before->ending;

    return (edge_action(edge->actions, NULL, HF_ACTION_ESCALATE) != NULL) == due ? RULE_NONE
                                                                                 : RULE_STOP;
}

static Rule check_status(const Edge *edge)
{
    const HfAction *end = edge_action(edge->actions, NULL, HF_ACTION_END);
    int status = edge->after->status > 0 ? edge->after->status : 0;

    if (end && end->status != status)
        return RULE_STATUS;
    if (edge->event->type == HF_EVENT_PREPARE_FAILED && end && status != 1)
        return RULE_STATUS;
    return edge->before->status >= 0 && edge->world_before->stopping && !edge_is_restart(edge) &&
                   edge->after->status != edge->before->status
               ? RULE_STATUS
               : RULE_NONE;
}

Rule invariants_stop(const Edge *edge)
{
    Rule rule = check_begin(edge);

    if (rule == RULE_NONE)
        rule = check_hurried(edge);
    if (rule == RULE_NONE)
        rule = check_hurried_end(edge);
    if (rule == RULE_NONE)
        rule = check_status(edge);
    if (rule != RULE_NONE)
        return rule;
    return edge->after->wait == wait_expected(edge) &&
                   edge->world_after->watching == (edge->after->wait == HF_WAIT_QUEUE)
               ? RULE_NONE
               : RULE_STOP;
}
