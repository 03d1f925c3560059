/* SPDX-License-Identifier: MIT */
#include "run/actions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "loop/reaper.h"
#include "policy/backoff.h"
#include "run/activated.h"
#include "run/inputs.h"
#include "run/pid_file.h"
#include "run/reconfigure.h"

_Static_assert(HF_SIDE_HELD == HF_MACHINE_SIDES, "a socket for each side of the machine");

/* A shell's status for a program that could not be started. */
#define NOT_RUN   126
#define NOT_FOUND 127

/* ---- plans ---- */

static int find_elsewhere(const HfListenerSpec *spec, HfListener **ret, void *userdata)
{
    const HfSupervisor *supervisor = userdata;
    int r = -ENOENT;

    HF_EACH_PART (supervisor, i, find)
        if (r < 0)
            r = supervisor->parts[i]->find(supervisor->states[i], spec, ret);
    return r;
}

/* Offers every listener we hold, even those that only a draining generation still has. */
static int offer_held(const HfSupervisor *supervisor, HfOffer *offer)
{
    const HfPlan *plans[1 + HF_MACHINE_SLOTS] = {supervisor->current};
    int r = 0;

    for (size_t i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i])
            plans[1 + i] = supervisor->generations[i]->plan;
    for (size_t i = 0; r >= 0 && i < 1 + HF_MACHINE_SLOTS; i++)
        if (plans[i])
            r = hf_offer_add(offer, plans[i]->listeners, plans[i]->n_listeners);
    return r < 0 ? r : hf_offer_add(offer, supervisor->activated, supervisor->n_activated);
}

static int bind_plan(HfPlan *plan, HfText *error, void *userdata)
{
    HfSupervisor *supervisor = userdata;
    HfOffer offer = {0};

    int r = hf_activated_want(supervisor->activated, supervisor->n_activated,
                              hf_reconfigure_settings(supervisor), plan, error);
    if (r >= 0)
        r = offer_held(supervisor, &offer);
    HF_EACH_PART (supervisor, i, offer)
        r = r < 0 ? r : supervisor->parts[i]->offer(supervisor->states[i], plan, &offer, error);
    if (r >= 0)
        r = hf_plan_bind(plan, offer.list, offer.n, supervisor->raised, find_elsewhere, supervisor,
                         error);
    free(offer.list);
    if (r < 0)
        return r;
    r = hf_activated_check(supervisor->activated, supervisor->n_activated, plan, error);
    return r < 0 ? r
                 : hf_plan_pair(plan, hf_reconfigure_settings(supervisor)->handover,
                                supervisor->machine.side, error);
}

static bool is_seen_to(const HfSupervisor *supervisor)
{
    HF_EACH_PART (supervisor, i, unprepared)
        if (supervisor->parts[i]->unprepared(supervisor->states[i]))
            return true;
    return false;
}

static void fail_prepare(HfSupervisor *supervisor, const char *why)
{
    hf_reconfigure_discard(supervisor);
    hf_supervisor_set_failure(supervisor, why);
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_PREPARE_FAILED});
}

static void on_prepared(int r, HfPlan *plan, const char *why, void *userdata)
{
    HfSupervisor *supervisor = userdata;

    HF_CLEANUP_TEXT HfText error = {0};

    supervisor->prepare = NULL;
    HF_EACH_PART (supervisor, i, bound) {
        if (r >= 0) {
            r = supervisor->parts[i]->bound(supervisor->states[i], plan, &error);
            why = hf_text_peek(&error);
        }
    }
    if ((r == -EADDRINUSE || r == -EINPROGRESS) && is_seen_to(supervisor)) {
        hf_log(r == -EINPROGRESS ? LOG_INFO : LOG_WARNING, NULL, "%s", why);
        hf_plan_unref(plan);
        hf_reconfigure_discard(supervisor);
        return;
    }
    if (r < 0) {
        hf_plan_unref(plan);
        fail_prepare(supervisor, why);
        return;
    }
    supervisor->prepared = plan;
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_PREPARED,
                                              .takeover = supervisor->taking_over,
                                              .switches = plan->switches});
}

static void perform_prepare(HfSupervisor *supervisor, const HfAction *action)
{
    HF_CLEANUP_TEXT HfText error = {0};

    hf_inputs_restore(supervisor->inputs, true);
    hf_supervisor_set_failure(supervisor, NULL);
    int r = hf_reconfigure_begin(supervisor, action->reread, &error);
    if (r < 0) {
        fail_prepare(supervisor, hf_text_peek(&error));
        return;
    }
    const HfPrepareQuestion question = {
        .loop = supervisor->loop,
        .reaper = supervisor->reaper,
        .settings = hf_reconfigure_settings(supervisor),
        .aliases = supervisor->runtime.aliases,
        .current = supervisor->current,
        .beside = action->trial,
        .runtime = action->trial ? &supervisor->runtime : NULL,
        .in_place = action->cause == HF_CAUSE_RESTART,
        .trial = hf_parts_trial(supervisor->parts),
        .bind = bind_plan,
        .binder = supervisor,
    };

    r = hf_prepare_start(&question, on_prepared, supervisor, &supervisor->prepare);
    if (r < 0)
        fail_prepare(supervisor, strerror(-r));
}

static void perform_discard(HfSupervisor *supervisor, const HfAction *action)
{
    (void)action;
    supervisor->prepared = hf_plan_unref(supervisor->prepared);
    hf_reconfigure_discard(supervisor);
}

static void perform_abort_prepare(HfSupervisor *supervisor, const HfAction *action)
{
    supervisor->prepare = hf_prepare_abort(supervisor->prepare);
    perform_discard(supervisor, action);
}

static void perform_commit(HfSupervisor *supervisor, const HfAction *action)
{
    if (action->number == 0)
        hf_reconfigure_commit(supervisor, action->cause);
    else
        hf_reconfigure_roll_back(supervisor);
    hf_plan_unref(supervisor->current);
    supervisor->current = action->number == 0
                              ? HF_STEAL(supervisor->prepared)
                              : hf_plan_ref(supervisor->generations[action->slot]->plan);
    if (supervisor->current) {
        HF_EACH_PART (supervisor, i, committed)
            supervisor->parts[i]->committed(supervisor->states[i]);
        hf_plan_apply(supervisor->current, supervisor->raised);
    }
}

/* What is held is let through to that side when the hold ends. */
static void steer(HfListener *listener, unsigned side)
{
    if (hf_listener_is_held(listener))
        return;
    const HfLogFields fields = {.listener = listener->label,
                                .error = hf_listener_steer(listener, side)};

    if (fields.error < 0)
        hf_log(LOG_ERR, &fields, "%s cannot be switched to the other side; reload again",
               listener->label);
}

void hf_actions_confirm(HfSupervisor *supervisor, HfEvent *event)
{
    const HfGeneration *generation = supervisor->generations[event->slot];
    bool confirms =
        event->type == HF_EVENT_READY || (event->type == HF_EVENT_TRIED && event->passed);
    HF_CLEANUP_TEXT HfText text = {0};

    if (!confirms || !generation || generation->number != event->number ||
        generation->side == supervisor->machine.side)
        return;
    for (size_t i = 0; i < generation->plan->n_listeners; i++) {
        const HfListener *listener = generation->plan->listeners[i];
        if (hf_listener_can_switch(listener, generation->side))
            continue;
        hf_text_addf(
            &text,
            "the hidden socket was removed beside %s, so it cannot be switched to; reload again",
            listener->label);
        hf_supervisor_set_failure(supervisor, hf_text_peek(&text));
        event->type = HF_EVENT_TRIED;
        event->passed = false;
        return;
    }
}

/* Listeners that are new in this plan serve on the side of their first generation from its start;
 * one that another holdfast still serves does so until the switch. */
static void steer_new(const HfSupervisor *supervisor, const HfPlan *plan, unsigned side)
{
    const HfPlan *current = supervisor->current;

    for (size_t i = 0; i < plan->n_listeners; i++) {
        bool known = plan->listeners[i]->claimed && plan->listeners[i]->taken;
        for (size_t j = 0; current && j < current->n_listeners; j++)
            known |= current->listeners[j] == plan->listeners[i];
        if (!known)
            steer(plan->listeners[i], side);
    }
}

/* Switches all listeners together, so that new connections to any of them reach the same
 * generation. */
static void perform_switch(HfSupervisor *supervisor, const HfAction *action)
{
    for (size_t i = 0; supervisor->current && i < supervisor->current->n_listeners; i++)
        steer(supervisor->current->listeners[i], action->side);
}

static void perform_backlog(HfSupervisor *supervisor, const HfAction *action)
{
    supervisor->raised = action->raised;
    for (size_t i = 0; supervisor->current && i < supervisor->current->n_listeners; i++)
        hf_listener_raise_backlog(supervisor->current->listeners[i], action->raised);
}

/* ---- generations ---- */

/* Remaining processes of its program accept on the side that it served. */
static void on_happened(HfGeneration *generation, HfEventType event, void *userdata)
{
    HfSupervisor *supervisor = userdata;
    bool workers = generation->plan->switches && generation->plan->adapter->retires;

    if (event == HF_EVENT_SPAWN_FAILED)
        hf_supervisor_set_failure(supervisor, generation->failure);
    hf_supervisor_post(supervisor, &(HfEvent){.type = event,
                                              .slot = generation->slot,
                                              .number = generation->number,
                                              .status = hf_generation_shell_status(generation),
                                              .remain = event == HF_EVENT_MAIN_EXITED && workers &&
                                                        hf_generation_serves(generation)});
}

static void on_last_words(HfGeneration *generation, void *userdata)
{
    const HfSupervisor *supervisor = userdata;

    (void)generation;
    hf_inputs_last_words(supervisor->inputs);
}

const HfGenerationCallbacks *hf_actions_callbacks(HfSupervisor *supervisor)
{
    static HfGenerationCallbacks callbacks;

    callbacks = (HfGenerationCallbacks){
        .happened = on_happened,
        .last_words = on_last_words,
        .userdata = supervisor,
    };
    return &callbacks;
}

static void perform_spawn(HfSupervisor *supervisor, const HfAction *action)
{
    HfPlan *plan = action->prepared ? supervisor->prepared : supervisor->current;
    HF_CLEANUP_TEXT HfText error = {0};

    hf_inputs_restore(supervisor->inputs, true);
    bool alone = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE) < 0;
    if (alone && !supervisor->taking_over)
        hf_pid_file_write(supervisor, plan);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < plan->n_listeners; i++)
        r = hf_listener_open_side(plan->listeners[i], action->side, &error);
    if (r >= 0)
        steer_new(supervisor, plan, action->side);
    if (r >= 0)
        r = hf_generation_spawn(supervisor->loop, supervisor->reaper, &supervisor->runtime, plan,
                                action->slot, action->number, action->side, action->cause, NULL,
                                hf_actions_callbacks(supervisor),
                                &supervisor->generations[action->slot], &error);
    if (r < 0) {
        hf_supervisor_set_failure(supervisor, hf_text_peek(&error));
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_SPAWN_FAILED,
                                                  .slot = action->slot,
                                                  .number = action->number,
                                                  .status = r == -ENOENT ? NOT_FOUND : NOT_RUN});
    }
}

/* SIGNAL, CONTINUE and REOPEN. The slot is empty if it could not be spawned. */
static void perform_on_generation(HfSupervisor *supervisor, const HfAction *action)
{
    HfGeneration *generation = supervisor->generations[action->slot];

    if (generation && action->type == HF_ACTION_SIGNAL)
        hf_generation_signal(generation, action->stage, supervisor->machine.limits.retire_time);
    else if (generation && action->type == HF_ACTION_CONTINUE)
        hf_generation_continue(generation);
    else if (generation)
        hf_generation_reopen(generation);
}

/* WATCH_QUEUE and WATCH_SIDE: without the part that does so, nobody waits. */
static void perform_watch(HfSupervisor *supervisor, const HfAction *action)
{
    bool side = action->type == HF_ACTION_WATCH_SIDE;

    if (action->raised && !hf_parts_have(supervisor->parts, "release"))
        hf_supervisor_post(supervisor,
                           &(HfEvent){.type = side ? HF_EVENT_SIDE_EMPTY : HF_EVENT_QUEUE_SERVED,
                                      .slot = action->slot,
                                      .number = action->number});
}

static void perform_forget(HfSupervisor *supervisor, const HfAction *action)
{
    HfGeneration **generation = &supervisor->generations[action->slot];

    *generation = hf_generation_free(*generation);
}

/* ---- timers ---- */

typedef struct TimerData {
    HfSupervisor *supervisor;
    HfEvent event;
} TimerData;

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    const TimerData *data = userdata;

    (void)source;
    (void)usec;
    hf_supervisor_post(data->supervisor, &data->event);
    return 0;
}

static sd_event_source **timer_of(HfSupervisor *supervisor, const HfAction *action)
{
    return &supervisor->timers[action->timer][action->slot];
}

static void perform_disarm(HfSupervisor *supervisor, const HfAction *action)
{
    sd_event_source **timer = timer_of(supervisor, action);

    *timer = sd_event_source_disable_unref(*timer);
}

static void perform_arm(HfSupervisor *supervisor, const HfAction *action)
{
    sd_event_source **timer = timer_of(supervisor, action);
    const HfEvent event = {.type = HF_EVENT_TIMER,
                           .timer = action->timer,
                           .slot = action->slot,
                           .number = action->number};
    uint64_t usec = action->usec;
    uint64_t random;

    if (action->extend && hf_supervisor_waits_longer(supervisor, action->timer, action->slot, usec))
        return;
    perform_disarm(supervisor, action);
    if (action->spread && getrandom(&random, sizeof(random), GRND_NONBLOCK) == sizeof(random))
        usec = hf_backoff_jitter(usec, random);
    TimerData *data = malloc(sizeof(*data));
    int r = data ? sd_event_add_time_relative(supervisor->loop, timer, CLOCK_MONOTONIC, usec,
                                              HF_LOOP_ACCURACY(usec), on_timer, data)
                 : -ENOMEM;
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "the timer %s cannot be armed, it counts as elapsed",
               hf_timer_name(action->timer));
        free(data);
        hf_supervisor_post(supervisor, &event);
        return;
    }
    *data = (TimerData){supervisor, event};
    sd_event_source_set_destroy_callback(*timer, free);
}

/* ---- the outside ---- */

/* Adds the reason for the caller and for the log. */
static void explain_start(HfSupervisor *supervisor, const HfAction *action)
{
    HfGeneration *generation = supervisor->generations[action->slot];
    HF_CLEANUP_TEXT HfText text = {0};

    bool ready = generation && generation->served; /* so it was on trial */
    hf_text_addf(&text, "generation %llu failed %s: ", (unsigned long long)action->number,
                 ready ? "its trial" : "to start");
    if (action->trial) {
        hf_text_add(&text, supervisor->failure ? supervisor->failure : "it was not passed");
    } else if (!generation || generation->failure) {
        hf_text_add(&text, supervisor->failure ? supervisor->failure : "out of memory");
    } else if (action->timed_out) {
        hf_text_add(&text, ready ? "not over after " : "not ready after ");
        hf_text_add_time(&text, action->usec);
    } else {
        hf_text_addf(&text, "%s ", generation->plan->program);
        hf_generation_explain_status(generation, &text);
        hf_text_add(&text, ready ? " during it" : " before it was ready");
        if (!ready && generation->status.si_code == CLD_EXITED && generation->status.si_status == 0)
            hf_text_add(&text, " (a service must stay in the foreground)");
    }
    if (generation)
        generation->late = action->timed_out;
    hf_supervisor_set_failure(supervisor, hf_text_peek(&text));
}

static void perform_report(HfSupervisor *supervisor, const HfAction *action)
{
    bool failed = hf_report_is_failure(action->report);

    if (failed && action->number > 0)
        explain_start(supervisor, action);
    if (failed && supervisor->failure && !hf_parts_have(supervisor->parts, "events"))
        hf_log(LOG_ERR, NULL, "%s", supervisor->failure); /* the text contains the rest */
    /* until the old server has left, the pid file is its own */
    if ((action->report == HF_REPORT_READY || action->report == HF_REPORT_RESUMED ||
         action->report == HF_REPORT_ROLLED_BACK) &&
        !supervisor->taking_over)
        hf_pid_file_write(supervisor, supervisor->generations[action->slot]->plan);
}

/* A part performs it. */
static void perform_test_upgrade(HfSupervisor *supervisor, const HfAction *action)
{
    (void)action;
    if (hf_parts_have(supervisor->parts, "survive"))
        return;
    hf_supervisor_set_failure(supervisor, HF_PART_MISSING "survive");
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_UPGRADE_FAILED});
}

static void perform_end(HfSupervisor *supervisor, const HfAction *action)
{
    if (!hf_parts_have(supervisor->parts, "final_kill"))
        hf_supervisor_end(supervisor, action->status);
}

static void perform_exit(HfSupervisor *supervisor, const HfAction *action)
{
    sd_event_exit(supervisor->loop, action->status);
}

/* NULL: only parts perform it. */
static void (*const executors[HF_ACTION_MAX_])(HfSupervisor *supervisor, const HfAction *action) = {
    [HF_ACTION_PREPARE] = perform_prepare,
    [HF_ACTION_ABORT_PREPARE] = perform_abort_prepare,
    [HF_ACTION_COMMIT] = perform_commit,
    [HF_ACTION_DISCARD] = perform_discard,
    [HF_ACTION_SWITCH] = perform_switch,
    [HF_ACTION_SPAWN] = perform_spawn,
    [HF_ACTION_SIGNAL] = perform_on_generation,
    [HF_ACTION_CONTINUE] = perform_on_generation,
    [HF_ACTION_WATCH_SIDE] = perform_watch,
    [HF_ACTION_REOPEN] = perform_on_generation,
    [HF_ACTION_ARM] = perform_arm,
    [HF_ACTION_DISARM] = perform_disarm,
    [HF_ACTION_FORGET] = perform_forget,
    [HF_ACTION_BACKLOG] = perform_backlog,
    [HF_ACTION_REPORT] = perform_report,
    [HF_ACTION_TEST_UPGRADE] = perform_test_upgrade,
    [HF_ACTION_WATCH_QUEUE] = perform_watch,
    [HF_ACTION_END] = perform_end,
    [HF_ACTION_EXIT] = perform_exit,
};

/* Parts see these before they take effect, while the generation's state is still there. */
static bool is_last_look(const HfAction *action)
{
    return action->type == HF_ACTION_FORGET || action->type == HF_ACTION_END;
}

void hf_actions_perform(HfSupervisor *supervisor, const HfAction *action)
{
    bool last = is_last_look(action);

    HF_EACH_PART (supervisor, i, holds)
        if (action->type == HF_ACTION_ANSWER &&
            supervisor->parts[i]->holds(supervisor->states[i], action))
            return;
    HF_CRASH_POINT_AT("before", hf_action_name(action->type));
    if (!last && executors[action->type])
        executors[action->type](supervisor, action);
    HF_EACH_PART (supervisor, i, performed)
        supervisor->parts[i]->performed(supervisor->states[i], action);
    if (last)
        executors[action->type](supervisor, action);
    HF_CRASH_POINT_AT("after", hf_action_name(action->type));
}
