/* The user's own test of what is about to be started (--preflight). */
#pragma once

#include "daemon/capture.h"
#include "daemon/plan.h"

typedef struct HfPreflight HfPreflight;

/* result 0: it exited with status 0. Else negative errno, and error says how it ended and what it
 * printed. The preflight has been freed. */
typedef void (*HfPreflightCallback)(int result, const char *error, void *userdata);

/* Runs command by /bin/sh -c in the plan's directory, with its environment; no listener is passed
 * on. timeout: usec. Returns 0 or negative errno. */
int hf_preflight_start(sd_event *loop, HfReaper *reaper, const char *command, const HfPlan *plan,
                       uint64_t timeout, HfPreflightCallback callback, void *userdata,
                       HfPreflight **ret);
/* No call back. NULL is fine. Returns NULL. */
HfPreflight *hf_preflight_abort(HfPreflight *preflight);
