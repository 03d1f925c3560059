/* SPDX-License-Identifier: MIT */
/* The part: in an outage, and when connections were held for long enough, callers are answered; and
 * what arrives where nobody serves is carried over. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/text.h"
#include "loop/reaper.h"
#include "parts.h"
#include "parts/events/events.h"
#include "parts/fallback/fallback_parts.h"
#include "parts/fallback/hold.h"
#include "run/supervisor.h"

#define RETRY_TIME HF_USEC_PER_SEC
#define ROUNDING   (100 * HF_USEC_PER_MSEC) /* of what is said */
#define NOTE       "held-until"

static const HfNoticeKind held = {"held", LOG_NOTICE, "e169e45dcfd74124ad7693c84070027e"};
static const HfNoticeKind hold_over = {"hold-over", LOG_WARNING,
                                       "37d9d3022ae642ea97c03c1a0f39686b"};
static const HfNoticeKind released = {"released", LOG_NOTICE, "326a96477c1e4611a5132cbcda86d44b"};

typedef struct HfOutage {
    HfSupervisor *supervisor;
    HfAnswerer answerer;
    bool answered; /* when the program was to be replaced */
    HfCarrier *carrier;
    HfHoldLife hold;
    HfAnswerer hold_answerer;
    size_t lent; /* listeners that another instance had when it began */
    HfCarrier *hold_carrier;
    sd_event_source *timer; /* of the hold */
} HfOutage;

/* ---- connections that are held ---- */

static void publish(const HfOutage *outage, const HfNoticeKind *kind, const HfText *text)
{
    hf_notices_publish(&hf_events_of(outage->supervisor)->notices, kind, 0, "", hf_text_peek(text));
}

/* Where its status page alone is, nobody is held who looks after it. */
static bool is_for_visitors(const HfPlan *plan, size_t i)
{
    return !plan->wanted[i].status;
}

/* The side of the generation that gets ready, or that one. */
static unsigned side_on_trial(const HfSupervisor *supervisor, unsigned otherwise)
{
    const HfMachine *machine = &supervisor->machine;
    int slot = hf_machine_find(machine, HF_STAGE_STARTING);

    if (slot < 0)
        slot = hf_machine_find(machine, HF_STAGE_TRIAL);
    return slot < 0 ? otherwise : machine->generations[slot].side;
}

static const char *explain_refusal(const HfListener *listener)
{
    if (hf_listener_is_anothers(listener))
        return "another instance of holdfast has taken it over";
    if (hf_listener_has_sides(listener))
        return NULL;
    return listener->one_side ? listener->one_side : "--handover leaves it one socket";
}

/* All or none: half a service that waits would help nobody. */
static int check_listeners(const HfOutage *outage, HfText *error)
{
    const HfPlan *plan = outage->supervisor->current;
    size_t n = 0;

    for (size_t i = 0; plan && i < plan->n_listeners; i++) {
        const char *why = explain_refusal(plan->listeners[i]);
        if (!is_for_visitors(plan, i))
            continue;
        n++;
        if (!why)
            continue;
        hf_text_addf(error, "new connections to %s cannot be made to wait: %s",
                     plan->listeners[i]->label, why);
        return -EOPNOTSUPP;
    }
    if (n > 0 && n <= HF_CARRIER_LISTENERS)
        return 0;
    if (n == 0)
        hf_text_add(error, "no socket is bound yet, so there is nothing to hold");
    else
        hf_text_addf(error, "%zu listeners are too many: at most %d can be held", n,
                     HF_CARRIER_LISTENERS);
    return -EOPNOTSUPP;
}

static void hold_all(const HfOutage *outage, HfText *error)
{
    const HfSupervisor *supervisor = outage->supervisor;
    const HfPlan *plan = supervisor->current;
    unsigned standby = side_on_trial(supervisor, supervisor->machine.side);
    int r = 0;

    for (size_t i = 0; r >= 0 && plan && i < plan->n_listeners; i++)
        if (is_for_visitors(plan, i) && !explain_refusal(plan->listeners[i]))
            r = hf_listener_hold(plan->listeners[i], standby, error);
    hf_carrier_look(outage->hold_carrier); /* what it would carry over comes back to it */
}

static void arm_hold(HfOutage *outage, uint64_t usec);

/* How many of those held here another instance has taken. Whether it serves them is known when its
 * start has succeeded or failed; in that case they are ours again. ret_held: how many are held. */
static size_t count_lent(const HfOutage *outage, size_t *ret_held)
{
    const HfPlan *plan = outage->supervisor->current;
    size_t n = 0;

    *ret_held = 0;
    for (size_t i = 0; plan && i < plan->n_listeners; i++) {
        bool is_held = hf_listener_is_held(plan->listeners[i]);
        *ret_held += is_held;
        n += is_held && hf_listener_is_anothers(plan->listeners[i]);
    }
    return n;
}

/* Another instance has it: once that one has switched it, side counts as the current one here
 * again. Returns false until then. */
static bool let_go(HfListener *listener, unsigned side)
{
    bool current = false;
    unsigned place;

    if (hf_address_is_path(&listener->spec.address))
        current =
            hf_socket_path_is(listener->spec.address.name, &listener->inodes[HF_SIDE_HELD]) > 0;
    else
        (void)hf_steer_noted(listener->fds[HF_SIDE_HELD], &current, &place);
    if (!current && listener->fds[side] >= 0) {
        listener->side = side;
        listener->standby = HF_SIDE_HELD;
    }
    return !current;
}

static int let_one_through(const HfSupervisor *supervisor, HfListener *listener, unsigned *n)
{
    unsigned side = supervisor->machine.side;
    HfQueue queue = {0};

    if (hf_listener_is_anothers(listener))
        return let_go(listener, side) ? 0 : -EBUSY;
    (void)hf_listener_queue(listener, HF_SIDE_HELD, &queue);
    *n += queue.depth;
    return hf_listener_let_through(listener, side, side_on_trial(supervisor, HF_SIDE_HELD));
}

/* Where that fails it is tried again. Returns how many waited. */
static unsigned let_all_through(HfOutage *outage)
{
    const HfSupervisor *supervisor = outage->supervisor;
    const HfPlan *plan = supervisor->current;
    bool failed = false;
    unsigned n = 0;

    for (size_t i = 0; plan && i < plan->n_listeners; i++) {
        HfListener *listener = plan->listeners[i];
        if (!hf_listener_is_held(listener))
            continue;
        const HfLogFields fields = {.listener = listener->label,
                                    .error = let_one_through(supervisor, listener, &n)};
        if (fields.error < 0 && fields.error != -EBUSY)
            hf_log(LOG_ERR, &fields, "new connections to %s still wait, trying again",
                   listener->label);
        failed = failed || fields.error < 0;
    }
    hf_carrier_look(outage->hold_carrier);
    if (failed)
        arm_hold(outage, RETRY_TIME);
    return n;
}

static unsigned step_hold(HfOutage *outage, HfHoldEvent event, HfText *error);

/* What another instance has is left to it for as long as it has it. */
static void answer_all(HfOutage *outage)
{
    size_t n;

    hf_answerer_end(&outage->hold_answerer);
    outage->lent = count_lent(outage, &n);
    hf_answerer_begin(&outage->hold_answerer);
    if (outage->lent > 0)
        arm_hold(outage, RETRY_TIME);
}

static void look_at_lent(HfOutage *outage)
{
    size_t n;

    if (count_lent(outage, &n) != outage->lent)
        answer_all(outage);
    else if (outage->lent > 0)
        arm_hold(outage, RETRY_TIME);
}

static int on_hold_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfOutage *outage = userdata;

    (void)source;
    (void)usec;
    if (outage->hold.state == HF_HOLD_NONE)
        let_all_through(outage);
    else if (outage->hold.state == HF_HOLD_ANSWERED)
        look_at_lent(outage);
    else
        step_hold(outage, HF_HOLD_ELAPSED, NULL);
    return 0;
}

static void arm_hold(HfOutage *outage, uint64_t usec)
{
    outage->timer = sd_event_source_disable_unref(outage->timer);
    int r = sd_event_add_time_relative(outage->supervisor->loop, &outage->timer, CLOCK_MONOTONIC,
                                       usec, HF_LOOP_ACCURACY(usec), on_hold_time, outage);
    if (r >= 0)
        return;
    hf_log(LOG_ERR, &(HfLogFields){.error = r},
           "the timer of the hold cannot be armed, it counts as elapsed");
    step_hold(outage, HF_HOLD_ELAPSED, NULL);
}

static void begin_hold(HfOutage *outage)
{
    uint64_t now = hf_clock_monotonic();
    uint64_t until = outage->supervisor->held_until;
    uint64_t left = until > now ? until - now : 0;
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_add(&text, "new connections wait, for at most ");
    hf_text_add_time(&text, (left + ROUNDING - 1) / ROUNDING * ROUNDING);
    hf_text_add(&text, ", until `holdfast release`");
    if (left > 0)
        publish(outage, &held, &text);
    arm_hold(outage, left);
}

static void end_hold(HfOutage *outage)
{
    HF_CLEANUP_TEXT HfText text = {0};
    size_t all;
    size_t lent = count_lent(outage, &all);
    unsigned n = let_all_through(outage);

    outage->supervisor->held_until = 0;
    hf_text_addf(&text, "new connections are served again, and %u that waited %s passed on", n,
                 n == 1 ? "is" : "are");
    if (lent > 0)
        hf_text_addf(&text, "; %zu of %zu addresses another instance of holdfast has taken over",
                     lent, all);
    publish(outage, &released, &text);
}

static void answer_held(HfOutage *outage)
{
    const HfPlan *plan = outage->supervisor->current;
    uint64_t now = hf_clock_monotonic();
    HF_CLEANUP_TEXT HfText text = {0};
    size_t all;
    size_t lent = count_lent(outage, &all);

    if (outage->supervisor->held_until > now)
        outage->supervisor->held_until = now;
    hf_text_add(&text, "connections are not held any longer: ");
    if (lent > 0 && lent == all)
        hf_text_add(&text, "another instance of holdfast has taken their addresses over");
    else
        hf_text_addf(&text, "they are %s until `holdfast release`",
                     plan && (plan->adapter->fastcgi || plan->handoff->fastcgi)
                         ? "answered with 503"
                         : "closed");
    publish(outage, &hold_over, &text);
    answer_all(outage);
}

/* Returns what was done; error: needed for what may be refused or fail, ASKED and RELEASED. */
static unsigned step_hold(HfOutage *outage, HfHoldEvent event, HfText *error)
{
    unsigned actions = hf_hold_step(&outage->hold, event);

    if (actions & HF_HOLD_REFUSE)
        hf_text_add(error, event == HF_HOLD_ASKED ? "the service is about to stop"
                                                  : "no connections are held");
    if (actions & HF_HOLD_DISARM)
        outage->timer = sd_event_source_disable_unref(outage->timer);
    if (actions & HF_HOLD_SILENCE)
        hf_answerer_end(&outage->hold_answerer);
    if (actions & HF_HOLD_STEER)
        hold_all(outage, error);
    if (actions & HF_HOLD_RETURN)
        end_hold(outage);
    if (actions & HF_HOLD_ARM)
        begin_hold(outage);
    if (actions & HF_HOLD_RETRY)
        arm_hold(outage, RETRY_TIME);
    if (actions & HF_HOLD_ANSWER)
        answer_held(outage);
    return actions;
}

static void on_hold_answerer_gone(void *userdata)
{
    step_hold(userdata, HF_HOLD_UNANSWERED, NULL);
}

/* Also what waits since then is to be known to whoever goes on after us. */
static void save(const HfSupervisor *supervisor)
{
    HF_EACH_PART (supervisor, i, performed)
        supervisor->parts[i]->performed(supervisor->states[i], &(HfAction){.type = HF_ACTION_SAVE});
}

static int outage_hold(void *state, uint64_t usec, HfText *error)
{
    HfOutage *outage = state;
    HfSupervisor *supervisor = outage->supervisor;

    int r = usec > 0 ? check_listeners(outage, error) : 0;
    if (r < 0)
        return r;
    uint64_t before = supervisor->held_until;
    if (usec > 0)
        supervisor->held_until = hf_clock_monotonic() + usec;
    unsigned actions = step_hold(outage, usec > 0 ? HF_HOLD_ASKED : HF_HOLD_RELEASED, error);
    if (actions & HF_HOLD_REFUSE)
        supervisor->held_until = before;
    else if (usec > 0 && error->length > 0) /* not all of them */
        step_hold(outage, HF_HOLD_RELEASED, error);
    save(supervisor);
    return error->length > 0 ? -EIO : 0;
}

/* What another holdfast has held waits on. */
static int outage_begun(void *state, HfText *error)
{
    HfOutage *outage = state;
    HfSupervisor *supervisor = outage->supervisor;
    const char *until = hf_notes_text(&supervisor->notes, NOTE);
    HF_CLEANUP_TEXT HfText why = {0};

    (void)error;
    if (!supervisor->current)
        return 0;
    if (until && hf_parse_uint(until, UINT64_MAX, &supervisor->held_until) == 0)
        step_hold(outage, HF_HOLD_ASKED, &why);
    else
        let_all_through(outage);
    hf_log_lines(LOG_ERR, NULL, hf_text_peek(&why));
    return 0;
}

/* A new address is held as well. */
static void outage_committed(void *state)
{
    HfOutage *outage = state;
    const HfPlan *plan = outage->supervisor->current;
    HF_CLEANUP_TEXT HfText error = {0};

    if (outage->hold.state == HF_HOLD_NONE) {
        let_all_through(outage);
        return;
    }
    for (size_t i = 0; i < plan->n_listeners; i++) {
        const char *why = explain_refusal(plan->listeners[i]);
        if (is_for_visitors(plan, i) && why)
            hf_log(LOG_WARNING, NULL, "new connections to %s cannot be made to wait: %s",
                   plan->listeners[i]->label, why);
    }
    hold_all(outage, &error);
    hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    if (outage->hold.state != HF_HOLD_ANSWERED)
        return;
    answer_all(outage);
}

static int outage_captured(void *state, HfNotes *notes)
{
    const HfOutage *outage = state;
    HF_CLEANUP_TEXT HfText text = {0};

    if (outage->hold.state == HF_HOLD_NONE)
        return 0;
    hf_text_addf(&text, "%llu", (unsigned long long)outage->supervisor->held_until);
    return hf_notes_add(notes, NOTE, hf_text_peek(&text), -1);
}

/* ---- the part ---- */

static void on_answerer_gone(void *userdata)
{
    hf_supervisor_post(userdata, &(HfEvent){.type = HF_EVENT_FALLBACK_GONE});
}

static int outage_begin(void *state, HfText *error)
{
    HfOutage *outage = state;
    HfSupervisor *supervisor = outage->supervisor;
    const HfAnswerer none = {.supervisor = supervisor,
                             .gone = on_answerer_gone,
                             .userdata = supervisor,
                             .process = HF_PROCESS_NONE,
                             .dismissed = HF_PROCESS_NONE,
                             .released = -1};

    (void)error;
    outage->answerer = outage->hold_answerer = none;
    outage->hold_answerer.held = true;
    outage->hold_answerer.gone = on_hold_answerer_gone;
    outage->hold_answerer.userdata = outage;
    int r = hf_carrier_new(supervisor, false, &outage->carrier);
    return r < 0 ? r : hf_carrier_new(supervisor, true, &outage->hold_carrier);
}

static void outage_limit(const HfSettings *settings, HfMachineLimits *limits)
{
    limits->busy_after = settings->busy_after;
}

static void outage_performed(void *state, const HfAction *action)
{
    HfOutage *outage = state;

    if (action->type == HF_ACTION_FALLBACK)
        (action->raised ? hf_answerer_begin : hf_answerer_end)(&outage->answerer);
}

static void outage_stepped(void *state)
{
    HfOutage *outage = state;
    const HfMachine *machine = &outage->supervisor->machine;

    if (hf_machine_stops(machine) || machine->wait != HF_WAIT_NONE)
        step_hold(outage, HF_HOLD_STOPPING, NULL);
    hf_carrier_look(outage->carrier);
    hf_carrier_look(outage->hold_carrier);
}

static void stop_carrying(const HfOutage *outage)
{
    if (outage->carrier) /* it could be made */
        hf_carrier_stop(outage->carrier);
    if (outage->hold_carrier)
        hf_carrier_stop(outage->hold_carrier);
}

static void outage_replacing(void *state, bool going)
{
    HfOutage *outage = state;

    if (going) {
        stop_carrying(outage);
        outage->answered = outage->answerer.process.pid > 0;
        hf_answerer_end(&outage->answerer);
        hf_answerer_end(&outage->hold_answerer);
        return;
    }
    if (outage->answered)
        on_answerer_gone(outage->supervisor);
    step_hold(outage, HF_HOLD_UNANSWERED, NULL);
}

static void outage_detach(void *state)
{
    HfOutage *outage = state;

    stop_carrying(outage);
    hf_answerer_end(&outage->answerer);
    hf_answerer_end(&outage->hold_answerer);
    outage->timer = sd_event_source_disable_unref(outage->timer);
}

static void outage_clear(void *state)
{
    HfOutage *outage = state;

    hf_answerer_free(&outage->answerer);
    hf_answerer_free(&outage->hold_answerer);
    hf_carrier_free(outage->carrier);
    hf_carrier_free(outage->hold_carrier);
}

const HfPart hf_part_fallback = {
    .name = "fallback",
    .mode = HF_ANSWERER_OPTION,
    .mode_main = hf_fallback_main,
    .limit = outage_limit,
    .state_size = sizeof(HfOutage),
    .begin = outage_begin,
    .begun = outage_begun,
    .committed = outage_committed,
    .performed = outage_performed,
    .stepped = outage_stepped,
    .hold = outage_hold,
    .captured = outage_captured,
    .replacing = outage_replacing,
    .detach = outage_detach,
    .clear = outage_clear,
};
