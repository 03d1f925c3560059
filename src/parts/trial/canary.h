/* SPDX-License-Identifier: MIT */
/* Tests the next plan with a real generation on private sockets, which is asked and then ended
 * before it can replace another (--canary). */
#pragma once

#include <systemd/sd-event.h>

#include "config/settings.h"
#include "loop/reaper.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfCanary HfCanary;

/* result 0: every listener gave a good answer. Otherwise negative errno, and error says what was
 * wrong and what the service printed. All processes have gone, and the canary has been freed. */
typedef void (*HfCanaryCallback)(int result, const char *error, void *userdata);

/* plan: bound; its listeners are not touched. settings->ready_timeout limits start and answers
 * together. Returns 0, or negative errno with one or more lines in error. */
int hf_canary_start(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime,
                    const HfSettings *settings, HfPlan *plan, HfCanaryCallback callback,
                    void *userdata, HfCanary **ret, HfText *error);
/* Kills it, without a callback. Accepts and returns NULL. */
HfCanary *hf_canary_abort(HfCanary *canary);
