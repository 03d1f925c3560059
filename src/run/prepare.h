/* SPDX-License-Identifier: MIT */
/* Turns settings into a plan: looks up names, finds the program, asks php-fpm, has the listeners
 * bound. */
#pragma once

#include <systemd/sd-event.h>

#include "base/text.h"
#include "config/settings.h"
#include "loop/capture.h"
#include "loop/reaper.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfPrepare HfPrepare;

/* The trial of a bound plan. */
typedef struct HfTrialStep HfTrialStep;

typedef struct HfPrepareQuestion {
    sd_event *loop;
    HfReaper *reaper;
    const HfSettings *settings; /* borrowed until the callback */
    const char *aliases;        /* see HfDiscovery; borrowed likewise */
    const HfPlan *current;      /* its listeners are held; borrowed likewise; NULL: none */
    bool beside;                /* a generation serves meanwhile, and must not be slowed down */
    const HfRuntime *runtime;   /* for a canary, if the settings have one; NULL: none */
    bool in_place;              /* the old generation is stopped first: there is no standby side */
    const HfTrialStep *trial;   /* NULL: none */
    HfPlanBinder bind;          /* NULL: leave the plan unbound */
    void *binder;               /* userdata for bind */
} HfPrepareQuestion;

/* result 0: passed. Otherwise negative errno, and error says what failed and what it printed. The
 * trial has been freed. Comes from the loop, never from within start. */
typedef void (*HfTrialCallback)(int result, const char *error, void *userdata);

struct HfTrialStep {
    /* Returns 0, 1 when there is nothing to pass (no callback), or negative errno with the reason
     * in error. */
    int (*start)(const HfPrepareQuestion *question, HfPlan *plan, HfTrialCallback callback,
                 void *userdata, void **ret, HfText *error);
    void (*abort)(void *trial); /* without a callback */
};

/* result 0: plan belongs to the callee. Otherwise negative errno, with the reason in error. The
 * prepare has been freed. Comes from the loop, never from within hf_prepare_start. */
typedef void (*HfPrepareCallback)(int result, HfPlan *plan, const char *error, void *userdata);

int hf_prepare_start(const HfPrepareQuestion *question, HfPrepareCallback callback, void *userdata,
                     HfPrepare **ret);
/* Aborts without a callback. Accepts and returns NULL. */
HfPrepare *hf_prepare_abort(HfPrepare *prepare);

/* Asks an adapter's question by running plan's program, at the lowest priority if yields. question
 * is only used during this call. Returns as hf_capture_start. */
int hf_prepare_put(sd_event *loop, HfReaper *reaper, const HfPlan *plan, HfQuestion *question,
                   bool yields, uint64_t timeout, HfCaptureCallback callback, void *userdata,
                   HfCapture **ret);
