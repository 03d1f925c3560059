/* SPDX-License-Identifier: MIT */
/* A real generation of the next plan on private sockets: asked, then ended, before it may replace
 * anything (--canary). */
#pragma once

#include <systemd/sd-event.h>

#include "config/settings.h"
#include "loop/reaper.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfCanary HfCanary;

/* result 0: every listener answered well. Else negative errno, and error says what was wrong and
 * what the service printed. Nothing is left of it, and the canary has been freed. */
typedef void (*HfCanaryCallback)(int result, const char *error, void *userdata);

/* plan: bound; its own listeners are not touched. settings->ready_timeout bounds its start and its
 * answers together. Returns 0, or negative errno with one or more lines in error. */
int hf_canary_start(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime,
                    const HfSettings *settings, HfPlan *plan, HfCanaryCallback callback,
                    void *userdata, HfCanary **ret, HfText *error);
/* Kills it; no call back. NULL is fine. Returns NULL. */
HfCanary *hf_canary_abort(HfCanary *canary);
