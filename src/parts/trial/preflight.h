/* What a plan must pass before it counts: the user's own test (--preflight), then a canary. */
#pragma once

#include <systemd/sd-event.h>

#include "config/settings.h"
#include "run/plan.h"
#include "run/reaper.h"
#include "run/runtime.h"

typedef struct HfPreflight HfPreflight;

/* result 0: passed. Else negative errno, and error says what failed and what it printed. The
 * preflight has been freed. Comes from the loop, never from within hf_preflight_start. */
typedef void (*HfPreflightCallback)(int result, const char *error, void *userdata);

/* runtime: of the canary; NULL: without one, whatever the settings say. The command gets the plan's
 * directory, and no listener. Returns 0, 1 when there is nothing to pass (no call back), or
 * negative errno with the reason in error. */
int hf_preflight_start(sd_event *loop, HfReaper *reaper, const HfSettings *settings,
                       const HfRuntime *runtime, HfPlan *plan, HfPreflightCallback callback,
                       void *userdata, HfPreflight **ret, HfText *error);
/* No call back. NULL is fine. Returns NULL. */
HfPreflight *hf_preflight_abort(HfPreflight *preflight);
