/* SPDX-License-Identifier: MIT */
/* Settings to a plan: looks up names, finds the program, asks php-fpm, has the listeners bound. */
#pragma once

#include <systemd/sd-event.h>

#include "base/text.h"
#include "config/settings.h"
#include "loop/capture.h"
#include "loop/reaper.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfPrepare HfPrepare;

/* Tries a bound plan. */
typedef struct HfTrialStep HfTrialStep;

typedef struct HfPrepareQuestion {
    sd_event *loop;
    HfReaper *reaper;
    const HfSettings *settings; /* borrowed until the call back */
    const char *aliases;        /* see HfDiscovery; borrowed likewise */
    const HfPlan *current;      /* whose listeners are held, borrowed likewise; NULL: none are */
    bool beside;                /* a generation serves meanwhile, and is not to feel it */
    bool standby;               /* and goes on until the next one, on its side, has started */
    const HfRuntime *runtime;   /* for a canary, if the settings have one; NULL: none */
    bool in_place;              /* the one before is stopped first: there is no standby side */
    const HfTrialStep *trial;   /* NULL: none */
    HfPlanBinder bind;          /* NULL: leave the plan unbound */
    void *binder;               /* its userdata */
} HfPrepareQuestion;

/* result 0: passed. Else negative errno, and error says what failed and what it printed. What start
 * made has been freed. Comes from the loop, never from within start. */
typedef void (*HfTrialCallback)(int result, const char *error, void *userdata);

struct HfTrialStep {
    /* Returns 0, 1 when there is nothing to pass (no call back), or negative errno with the reason
     * in error. */
    int (*start)(const HfPrepareQuestion *question, HfPlan *plan, HfTrialCallback callback,
                 void *userdata, void **ret, HfText *error);
    void (*abort)(void *trial); /* no call back */
};

/* result 0: plan is the callee's. Else negative errno and why in error. The prepare has
 * been freed. Comes from the loop, never from within hf_prepare_start. */
typedef void (*HfPrepareCallback)(int result, HfPlan *plan, const char *error, void *userdata);

int hf_prepare_start(const HfPrepareQuestion *question, HfPrepareCallback callback, void *userdata,
                     HfPrepare **ret);
/* No call back. NULL is fine. Returns NULL. */
HfPrepare *hf_prepare_abort(HfPrepare *prepare);

/* Runs what an adapter asks of plan's program, at the lowest priority if it yields. question is
 * used until this returns. Returns as hf_capture_start. */
int hf_prepare_put(sd_event *loop, HfReaper *reaper, const HfPlan *plan, HfQuestion *question,
                   bool yields, uint64_t timeout, HfCaptureCallback callback, void *userdata,
                   HfCapture **ret);
