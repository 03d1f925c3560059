/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "loop/capture.h"
#include "parts.h"
#include "parts/events/events.h"
#include "parts/probe/request.h"
#include "parts/trial/trial_parts.h"
#include "run/generation_files.h"
#include "run/listener.h"
#include "run/plan.h"
#include "run/reconfigure.h"
#include "run/supervisor.h"

/* ---- before a plan counts: the user's own test, then a canary unless one is asked below ---- */

typedef struct HfPreflight {
    sd_event *loop;
    HfReaper *reaper;
    const HfSettings *settings;
    const HfRuntime *runtime;
    bool in_place;
    HfPlan *plan; /* reference */
    HfCapture *command;
    HfCanary *canary;
    HfTrialCallback callback;
    void *userdata;
} HfPreflight;

static void preflight_free(void *trial)
{
    HfPreflight *preflight = trial;

    hf_capture_abort(preflight->command);
    hf_canary_abort(preflight->canary);
    hf_plan_unref(preflight->plan);
    free(preflight);
}

static void preflight_done(HfPreflight *preflight, int r, const char *error)
{
    HfTrialCallback callback = preflight->callback;
    void *userdata = preflight->userdata;

    preflight_free(preflight);
    callback(r, error, userdata);
}

static void on_private_canary(int r, const char *error, void *userdata)
{
    HfPreflight *preflight = userdata;

    preflight->canary = NULL;
    preflight_done(preflight, r, error);
}

static int start_canary(HfPreflight *preflight, HfText *error)
{
    HF_CLEANUP_TEXT HfText why = {0};

    bool later = preflight->plan->switches && !preflight->in_place; /* on the standby side */
    if (preflight->settings->canary.kind == HF_PROBE_NONE || !preflight->runtime || later)
        return 1;
    int r =
        hf_canary_start(preflight->loop, preflight->reaper, preflight->runtime, preflight->settings,
                        preflight->plan, on_private_canary, preflight, &preflight->canary, &why);
    if (r < 0)
        hf_text_addf(error, "the canary cannot be started: %s",
                     why.length > 0 ? hf_text_peek(&why) : strerror(-r));
    return r;
}

static void on_command(const HfCaptured *captured, void *userdata)
{
    HfPreflight *preflight = userdata;
    HF_CLEANUP_TEXT HfText error = {0};
    int r = -EBADMSG;

    preflight->command = NULL;
    if (hf_command_succeeded(captured))
        r = start_canary(preflight, &error);
    else
        hf_command_explain("the preflight", captured, preflight->settings->ready_timeout, &error);
    if (r != 0)
        preflight_done(preflight, r, hf_text_peek(&error));
}

static int start_command(HfPreflight *preflight, HfText *error)
{
    const HfSettings *settings = preflight->settings;

    if (!settings->preflight)
        return start_canary(preflight, error);
    HF_CLEANUP_STRV char **environment = NULL;
    int r = hf_environment_make(NULL, (const char *const *)settings->environment, &environment);
    if (r >= 0)
        r = hf_command_start(preflight->loop, preflight->reaper, settings->preflight,
                             preflight->plan->directory, environment, settings->ready_timeout,
                             on_command, preflight, &preflight->command);
    if (r < 0)
        hf_text_addf(error, "the preflight cannot be run: %s", strerror(-r));
    return r;
}

/* The command gets the plan's directory, but no listener. */
static int preflight_start(const HfPrepareQuestion *question, HfPlan *plan,
                           HfTrialCallback callback, void *userdata, void **ret, HfText *error)
{
    HfPreflight *preflight = hf_allocate(1, sizeof(*preflight));
    if (!preflight)
        return -ENOMEM;
    *preflight = (HfPreflight){
        .loop = question->loop,
        .reaper = question->reaper,
        .settings = question->settings,
        .runtime = question->runtime,
        .in_place = question->in_place,
        .plan = hf_plan_ref(plan),
        .callback = callback,
        .userdata = userdata,
    };
    int r = start_command(preflight, error);
    if (r == 0)
        *ret = preflight;
    else
        preflight_free(preflight);
    return r;
}

/* For `check`: tells whether there is a canary, and a warm-up. */
static void preflight_describe(const HfPlan *plan, const HfSettings *settings, HfText *report)
{
    if (settings->canary.kind != HF_PROBE_NONE)
        hf_text_addf(report,
                     "Canary: before each reload and restart the next generation is started on %s "
                     "and %s %s%s\n",
                     plan->switches ? "the standby side (a restart: on private sockets)"
                                    : "private sockets",
                     settings->canary.kind == HF_PROBE_EXEC ? "tested by" : "asked for",
                     settings->document_root ? settings->document_root : "", settings->canary.what);
    if (hf_warm_has_work(settings))
        hf_text_addf(report, "Warm-up: %s\n",
                     plan->switches ? "before each reload, on the standby side"
                                    : "none, as a reload does not switch");
}

static const HfTrialStep preflight_step = {preflight_start, preflight_free};

/* ---- a ready generation on the standby side: a canary decides, then it is warmed ---- */

#define MARGIN       (5 * HF_USEC_PER_SEC) /* before the machine would end a trial by itself */
#define SETTLE_TRIES 600U                  /* for a minute */

typedef struct Trial {
    HfSupervisor *supervisor;
    HfGeneration *generation; /* on trial, borrowed; NULL: none */
    size_t asked;             /* listener */
    HfRequest *request;
    HfWarmUp *warm;
    HfPriority priorities[HF_MACHINE_SLOTS]; /* lowered ones, until restored */
    sd_event_source *again;                  /* retries what the kernel has not accepted yet */
    unsigned tries;
    bool excused; /* logged that nothing is warmed */
} Trial;

/* ---- priorities ---- */

/* Lowers the generation being warmed, and restores all others. */
static void settle_priorities(Trial *trial)
{
    const HfGeneration *warmed = trial->warm ? trial->generation : NULL;
    bool again = false;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        bool low = warmed && warmed->slot == i;
        int r = (low ? hf_priority_lower_group : hf_priority_restore)(&trial->priorities[i]);
        again = again || r == -EAGAIN;
    }
    if (again && trial->tries++ < SETTLE_TRIES) {
        sd_event_source_set_time_relative(trial->again, HF_PRIORITY_PAUSE);
        sd_event_source_set_enabled(trial->again, SD_EVENT_ONESHOT);
    } else if (again) {
        hf_log(LOG_WARNING, NULL, "the priority that a warm-up had cannot be changed");
    }
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    settle_priorities(userdata);
    return 0;
}

static void begin_settling(Trial *trial)
{
    trial->tries = 0;
    settle_priorities(trial);
}

static void clear_priorities(Trial *trial)
{
    sd_event_source_set_enabled(trial->again, SD_EVENT_OFF);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        hf_priority_clear(&trial->priorities[i]);
}

/* ---- the trial ---- */

static void stop_trial(Trial *trial)
{
    trial->request = hf_request_abort(trial->request);
    trial->warm = hf_warm_abort(trial->warm);
    trial->generation = NULL;
    begin_settling(trial);
}

static void end_trial(Trial *trial, bool passed)
{
    unsigned slot = trial->generation->slot;

    stop_trial(trial);
    hf_supervisor_post(trial->supervisor,
                       &(HfEvent){.type = HF_EVENT_TRIED,
                                  .slot = slot,
                                  .number = trial->supervisor->machine.generations[slot].number,
                                  .passed = passed});
}

static void on_warmed(const HfWarmed *warmed, void *userdata)
{
    static const HfNoticeKind kind = {"warmed", LOG_INFO, "f9a0a77015ee405a8607288445b7fa8d"};
    Trial *trial = userdata;
    HfEvents *events = hf_events_of(trial->supervisor);
    HF_CLEANUP_TEXT HfText text = {0};
    uint64_t number = trial->generation->number;

    trial->warm = NULL;
    hf_text_addf(&text, "generation %llu %s", (unsigned long long)number, warmed->report);
    hf_notices_publish(&events->notices, &kind, number, "", hf_text_peek(&text));
    hf_history_warmed(&events->history, number, &warmed->figures);
    end_trial(trial, true);
}

static void begin_warm_up(Trial *trial)
{
    const HfSettings *settings = hf_reconfigure_settings(trial->supervisor);
    const HfGeneration *before = hf_supervisor_active(trial->supervisor);
    int r = 0;

    if (hf_warm_has_work(settings))
        r = hf_warm_start(trial->supervisor, settings, before, trial->generation,
                          &trial->priorities[trial->generation->slot], on_warmed, trial,
                          &trial->warm);
    if (r < 0)
        hf_log(LOG_WARNING, &(HfLogFields){.generation = trial->generation->number, .error = r},
               "generation %llu cannot be warmed", (unsigned long long)trial->generation->number);
    if (!trial->warm)
        end_trial(trial, true);
    else
        begin_settling(trial);
}

/* ---- the canary ---- */

static int ask_canary(Trial *trial);

static void fail_trial(Trial *trial, const char *why)
{
    const HfPlan *plan = trial->generation->plan;
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "the canary of %s is unhealthy: %s", plan->listeners[trial->asked]->label,
                 why);
    hf_supervisor_set_failure(trial->supervisor, hf_text_peek(&text));
    end_trial(trial, false);
}

static void on_canary(const HfReply *reply, void *userdata)
{
    Trial *trial = userdata;

    trial->request = NULL;
    if (reply->result < 0) {
        fail_trial(trial, reply->error);
        return;
    }
    trial->asked++;
    int r = ask_canary(trial);
    if (r < 0)
        fail_trial(trial, strerror(-r));
}

/* Asks the next listener that serves requests, unlike that of pm.status_listen; after the last one
 * the warm-up begins. */
static int ask_canary(Trial *trial)
{
    const HfSettings *settings = hf_reconfigure_settings(trial->supervisor);
    const HfPlan *plan = trial->generation->plan;
    HF_CLEANUP_TEXT HfText where = {0};
    HF_CLEANUP_TEXT HfText source = {0};
    HfReach reach;

    while (trial->asked < plan->n_listeners && plan->wanted[trial->asked].status)
        trial->asked++;
    if (settings->canary.kind == HF_PROBE_NONE || trial->asked == plan->n_listeners) {
        begin_warm_up(trial);
        return 0;
    }
    const HfProbe probe =
        hf_plan_probe(plan, trial->asked, &plan->listeners[trial->asked]->bound, &settings->canary);
    int r = hf_listener_reach(plan->listeners[trial->asked], trial->generation->side, &reach);
    if (r >= 0)
        r = hf_request_name_reach(&reach, "HOLDFAST_CANARY", &where, &source);
    if (r < 0)
        return r;
    const char *const more[] = {hf_text_peek(&where),
                                source.length > 0 ? hf_text_peek(&source) : NULL, NULL};
    const HfRequestSpec question = {
        .kind = probe.kind,
        .what = probe.what,
        .listener = hf_listener_fd(plan->listeners[trial->asked], trial->generation->side),
        .root = settings->document_root,
        .headers = (const char *const *)settings->http_headers,
        .reach = &reach,
        .reaper = trial->supervisor->reaper,
        .directory = plan->directory,
        .environment = more,
        .timeout = settings->ready_timeout,
    };
    return hf_request_start(trial->supervisor->loop, &question,
                            (const struct sockaddr *)&reach.address, reach.length, on_canary, trial,
                            &trial->request);
}

static void begin_trial(Trial *trial, HfGeneration *generation)
{
    stop_trial(trial);
    trial->generation = generation;
    trial->asked = 0;
    int r = ask_canary(trial);
    if (r < 0)
        fail_trial(trial, strerror(-r));
}

/* ---- the part ---- */

static int trial_begin(void *state, HfText *error)
{
    Trial *trial = state;
    HfSupervisor *supervisor = trial->supervisor;

    (void)error;
    int r = sd_event_add_time_relative(supervisor->loop, &trial->again, CLOCK_MONOTONIC,
                                       HF_PRIORITY_PAUSE, HF_USEC_PER_MSEC, on_again, trial);
    return r < 0 ? r : sd_event_source_set_enabled(trial->again, SD_EVENT_OFF);
}

/* Restores what a holdfast left that died, or was replaced, during a warm-up. */
static int trial_begun(void *state, HfText *error)
{
    Trial *trial = state;
    const HfSupervisor *supervisor = trial->supervisor;

    (void)error;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfGeneration *generation = supervisor->generations[i];
        bool tried = supervisor->machine.generations[i].stage == HF_STAGE_TRIAL;
        if (!generation)
            continue;
        hf_warm_remove_scripts(supervisor, generation);
        if (generation->members.service.session > 0)
            hf_priority_adopt(generation->main.pid, tried, &generation->members.service,
                              &trial->priorities[i]);
    }
    begin_settling(trial);
    return 0;
}

/* Nothing is logged if it is off by default or by the user's choice. */
static void trial_committed(void *state)
{
    Trial *trial = state;
    const HfSettings *settings = trial->supervisor->settings;
    bool shares =
        settings->handover == HF_HANDOVER_GENTLE || settings->handover == HF_HANDOVER_AT_ONCE;
    bool misses = !trial->supervisor->current->switches && hf_warm_has_work(settings) &&
                  (settings->warm || !shares);

    if (misses && !trial->excused)
        hf_log(LOG_NOTICE, NULL,
               "nothing is warmed before a reload, as it does not switch; `holdfast status` says "
               "why");
    trial->excused = misses;
}

static void trial_performed(void *state, const HfAction *action)
{
    Trial *trial = state;
    bool own = trial->generation && trial->generation->slot == action->slot;

    if (action->type == HF_ACTION_TRIAL && action->raised)
        begin_trial(trial, trial->supervisor->generations[action->slot]);
    else if (own && (action->type == HF_ACTION_TRIAL || action->type == HF_ACTION_FORGET))
        stop_trial(trial);
    else if (action->type == HF_ACTION_FORGET && trial->warm)
        hf_warm_lose(trial->warm, trial->supervisor->generations[action->slot]);
    if (action->type == HF_ACTION_FORGET)
        hf_priority_clear(&trial->priorities[action->slot]);
}

static void trial_detach(void *state)
{
    stop_trial(state);
    clear_priorities(state);
}

static void trial_clear(void *state)
{
    Trial *trial = state;

    trial_detach(trial);
    sd_event_source_disable_unref(trial->again);
}

static void trial_limit(const HfSettings *settings, HfMachineLimits *limits)
{
    bool canary = settings->canary.kind != HF_PROBE_NONE;

    limits->tries = canary || hf_warm_has_work(settings);
    limits->trial_time = settings->warm_timeout + (canary ? settings->ready_timeout : 0) + MARGIN;
}

const HfPart hf_part_trial = {
    .name = "trial",
    .describe = preflight_describe,
    .trial = &preflight_step,
    .limit = trial_limit,
    .state_size = sizeof(Trial),
    .begin = trial_begin,
    .begun = trial_begun,
    .committed = trial_committed,
    .performed = trial_performed,
    .detach = trial_detach,
    .clear = trial_clear,
};
