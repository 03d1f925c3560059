/* SPDX-License-Identifier: MIT */
#include "parts/trial/preflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "loop/capture.h"
#include "parts/trial/canary.h"
#include "parts/trial/warm.h"
#include "run/plan.h"

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

static void on_canary(int r, const char *error, void *userdata)
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
                        preflight->plan, on_canary, preflight, &preflight->canary, &why);
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

void hf_preflight_describe(const HfPlan *plan, const HfSettings *settings, HfText *report)
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

const HfTrialStep hf_preflight_step = {preflight_start, preflight_free};
