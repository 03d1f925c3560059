/* SPDX-License-Identifier: MIT */
/* What a plan must pass before it counts: the user's own test (--preflight), then a canary, unless
 * that is asked on the standby side. */
#pragma once

#include "run/part.h"

extern const HfTrialStep hf_preflight_step;

/* For `check`: tells whether there is a canary, and a warm-up. */
void hf_preflight_describe(const HfPlan *plan, const HfSettings *settings, HfText *report);
