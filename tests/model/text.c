/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "policy/machine_parts.h"

__attribute__((format(printf, 2, 3))) static void line(char *ret, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(ret, TEXT_LINE_MAX, format, arguments);
    va_end(arguments);
}

void text_time(uint64_t usec, char ret[TEXT_LINE_MAX])
{
    if (usec == HF_USEC_INFINITY)
        line(ret, "for-ever");
    else if (usec % 1000000 == 0)
        line(ret, "%" PRIu64 "s", usec / 1000000);
    else if (usec % 1000 == 0)
        line(ret, "%" PRIu64 "ms", usec / 1000);
    else
        line(ret, "%" PRIu64 "us", usec);
}

int text_parse_time(const char *text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        uint64_t usec;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}};
    char *end;

    if (strcmp(text, "for-ever") == 0) {
        *ret = HF_USEC_INFINITY;
        return 0;
    }
    uint64_t value = strtoull(text, &end, 10);
    if (end == text || value > 1000000000)
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            *ret = value * units[i].usec;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- events ---- */

static void request_text(const HfEvent *event, char ret[TEXT_LINE_MAX])
{
    const char *name = hf_request_kind_name(event->request);

    if (event->id == 0)
        line(ret, "%s", name);
    else
        line(ret, "%s #%" PRIu64, name, event->id);
}

void text_event(const HfEvent *event, const HfMachine *machine, char ret[TEXT_LINE_MAX])
{
    uint64_t number = machine->generations[event->slot].number;
    char usec[TEXT_LINE_MAX];

    switch (event->type) {
    case HF_EVENT_SPAWN_FAILED:
    case HF_EVENT_READY:
    case HF_EVENT_MAIN_EXITED:
    case HF_EVENT_GONE:
    case HF_EVENT_RETIRED:
    case HF_EVENT_SIDE_EMPTY:
    case HF_EVENT_OVERSIZE:
    case HF_EVENT_LEAVING:
        line(ret, "%s %" PRIu64, hf_event_name(event->type), number);
        break;
    case HF_EVENT_TIMER:
        if (event->timer == HF_TIMER_DEADLINE)
            line(ret, "%s %" PRIu64, hf_timer_name(event->timer), number);
        else
            line(ret, "%s", hf_timer_name(event->timer));
        break;
    case HF_EVENT_REQUEST:
        request_text(event, ret);
        break;
    case HF_EVENT_EXTEND:
        text_time(event->usec, usec);
        line(ret, "%s %" PRIu64 " %.40s", hf_event_name(event->type), number, usec);
        break;
    case HF_EVENT_TRIED:
        line(ret, "%s %" PRIu64 " %s", hf_event_name(event->type), number,
             event->passed ? "passed" : "failed");
        break;
    case HF_EVENT_PROBED:
        line(ret, "%s %" PRIu64 " %s", hf_event_name(event->type), number,
             hf_verdict_name(event->verdict));
        break;
    case HF_EVENT_START:
    case HF_EVENT_PREPARED:
    case HF_EVENT_PREPARE_FAILED:
    case HF_EVENT_STOP_SIGNAL:
    case HF_EVENT_UNBLOCKED:
    case HF_EVENT_QUEUE_SERVED:
    case HF_EVENT_ENDED:
    case HF_EVENT_REOPEN:
    case HF_EVENT_FALLBACK_GONE:
    case HF_EVENT_UPGRADE_TESTED:
    case HF_EVENT_UPGRADE_FAILED:
    case HF_EVENT_RESUME:
    case HF_EVENT_ADOPT:
        line(ret, "%s", hf_event_name(event->type));
        break;
    case HF_EVENT_MAX_:
        assert(false);
    }
}

/* ---- actions ---- */

static void timer_text(const HfAction *action, char ret[TEXT_LINE_MAX])
{
    const char *verb = hf_action_name(action->type);
    const char *timer = hf_timer_name(action->timer);
    char number[24] = "";
    char usec[TEXT_LINE_MAX] = "";

    if (action->timer == HF_TIMER_DEADLINE)
        snprintf(number, sizeof(number), " %" PRIu64, action->number);
    if (action->type == HF_ACTION_ARM)
        text_time(action->usec, usec);
    line(ret, "%s %s%s%s%.40s%s%s", verb, timer, number, *usec ? " " : "", usec,
         action->spread ? " spread" : "", action->extend ? " extend" : "");
}

static void report_text(const HfAction *action, char ret[TEXT_LINE_MAX])
{
    const char *what = hf_report_name(action->report);
    const char *cause = hf_cause_name(action->cause);
    char usec[TEXT_LINE_MAX];

    switch (action->report) {
    case HF_REPORT_READY:
        line(ret, "report %s %" PRIu64 " %s", what, action->number, cause);
        break;
    case HF_REPORT_START_FAILED:
    case HF_REPORT_RELOAD_FAILED:
        if (action->number == 0)
            line(ret, "report %s %s", what, cause);
        else
            line(ret, "report %s %" PRIu64 " %s%s%s", what, action->number, cause,
                 action->timed_out ? " timed-out" : "", action->trial ? " trial" : "");
        break;
    case HF_REPORT_RETRY:
    case HF_REPORT_OUTAGE:
    case HF_REPORT_DELAYED:
        text_time(action->usec, usec);
        line(ret, "report %s %.40s", what, usec);
        break;
    case HF_REPORT_HURRIED:
        line(ret, "report %s %" PRIu64 " %s", what, action->number, hf_stage_name(action->stage));
        break;
    case HF_REPORT_CRASHED:
    case HF_REPORT_DRAINING:
    case HF_REPORT_GONE:
    case HF_REPORT_WAITING:
    case HF_REPORT_RECOVERED:
    case HF_REPORT_HEALTHY:
    case HF_REPORT_SATURATED:
    case HF_REPORT_PARKED:
    case HF_REPORT_ROLLED_BACK:
    case HF_REPORT_LEAVING:
    case HF_REPORT_RESUMED:
        line(ret, "report %s %" PRIu64, what, action->number);
        break;
    case HF_REPORT_HUNG:
    case HF_REPORT_UNHEALTHY:
    case HF_REPORT_SERVICE_ENDED:
        line(ret, "report %s %" PRIu64 " %d%s", what, action->number, action->status,
             action->doubted ? " doubted" : "");
        break;
    case HF_REPORT_STOPPING:
    case HF_REPORT_UPGRADED:
    case HF_REPORT_UPGRADE_FAILED:
    case HF_REPORT_ADOPTED:
    case HF_REPORT_TAKEOVER_FAILED:
        line(ret, "report %s", what);
        break;
    case HF_REPORT_MAX_:
        assert(false);
    }
}

static size_t answer_text(const HfAction *action, size_t n, char ret[TEXT_LINE_MAX])
{
    const char *outcome = hf_outcome_name(action->outcome);
    size_t same = 1;

    while (same < n && action[same].type == HF_ACTION_ANSWER &&
           action[same].outcome == action->outcome && action[same].id == action->id + same)
        same++;
    if (same == 1)
        line(ret, "answer #%" PRIu64 " %s", action->id, outcome);
    else
        line(ret, "answer #%" PRIu64 "..%" PRIu64 " %s", action->id, action->id + same - 1,
             outcome);
    return same;
}

size_t text_action(const HfAction *action, size_t n, char ret[TEXT_LINE_MAX])
{
    const char *name = hf_action_name(action->type);
    char side[24] = "";

    switch (action->type) {
    case HF_ACTION_COMMIT:
        if (action->number != 0)
            line(ret, "%s of %" PRIu64, name, action->number);
        else
            line(ret, "%s", name);
        break;
    case HF_ACTION_PREPARE:
    case HF_ACTION_ABORT_PREPARE:
    case HF_ACTION_DISCARD:
    case HF_ACTION_SAVE:
    case HF_ACTION_TEST_UPGRADE:
    case HF_ACTION_UPGRADE:
    case HF_ACTION_ESCALATE:
        line(ret, "%s", name);
        break;
    case HF_ACTION_SPAWN:
        if (action->side != 0)
            snprintf(side, sizeof(side), " on side %u", action->side);
        line(ret, "%s %" PRIu64 " %s%s%s", name, action->number, hf_cause_name(action->cause),
             action->prepared ? " prepared" : "", side);
        break;
    case HF_ACTION_SIGNAL:
        line(ret, "%s %" PRIu64 " %s", name, action->number, hf_stage_name(action->stage));
        break;
    case HF_ACTION_REOPEN:
    case HF_ACTION_FORGET:
    case HF_ACTION_CONTINUE:
    case HF_ACTION_PROBE:
        line(ret, "%s %" PRIu64, name, action->number);
        break;
    case HF_ACTION_ARM:
    case HF_ACTION_DISARM:
        timer_text(action, ret);
        break;
    case HF_ACTION_SWITCH:
        line(ret, "%s to %u", name, action->side);
        break;
    case HF_ACTION_TRIAL:
    case HF_ACTION_WATCH_SIDE:
        line(ret, "%s %" PRIu64 " %s", name, action->number, action->raised ? "starts" : "ends");
        break;
    case HF_ACTION_BACKLOG:
        line(ret, "%s %s", name, action->raised ? "raised" : "normal");
        break;
    case HF_ACTION_FALLBACK:
        line(ret, "%s %s", name, action->raised ? "starts" : "ends");
        break;
    case HF_ACTION_WATCH_QUEUE:
        line(ret, "%s %s", name, action->raised ? "starts" : "ends");
        break;
    case HF_ACTION_ANSWER:
        return answer_text(action, n, ret);
    case HF_ACTION_REPORT:
        report_text(action, ret);
        break;
    case HF_ACTION_END:
    case HF_ACTION_EXIT:
        line(ret, "%s %d", name, action->status);
        break;
    case HF_ACTION_MAX_:
        assert(false);
    }
    return 1;
}

/* The oldest generation that is younger than the given number, or NULL. */
static const HfMachineGeneration *next_generation(const HfMachine *machine, uint64_t number)
{
    const HfMachineGeneration *next = NULL;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *g = &machine->generations[i];
        if (g->stage != HF_STAGE_EMPTY && g->number > number && (!next || g->number < next->number))
            next = g;
    }
    return next;
}

void text_state(const HfMachine *machine, char ret[TEXT_STATE_MAX])
{
    static const char *const waits[] = {"", ", stop delayed", ", stop after the queue"};
    HfOutputs outputs;

    hf_machine_outputs(machine, &outputs);
    int length = snprintf(ret, TEXT_STATE_MAX, "%s%s%s", hf_phase_name(machine->phase),
                          outputs.fallback ? ", answering" : "", waits[machine->wait]);

    for (const HfMachineGeneration *g = next_generation(machine, 0); g && length < TEXT_STATE_MAX;
         g = next_generation(machine, g->number)) {
        bool leaves = hf_stage_leaves(g->stage);
        bool rest = g->stage == HF_STAGE_ACTIVE && g->main_exited;
        length += snprintf(ret + length, (size_t)(TEXT_STATE_MAX - length), ", %" PRIu64 " %s%s%s",
                           g->number, leaves ? "draining (" : "", hf_stage_name(g->stage),
                           leaves ? ")"
                           : rest ? " (what is left of it)"
                                  : "");
    }
}
