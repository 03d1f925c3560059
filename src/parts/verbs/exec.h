/* SPDX-License-Identifier: MIT */
/* `holdfast exec`: translates the sockets passed by systemd, and becomes the service. */
#pragma once

#include "config/options.h"
#include "run/prepare.h"

/* Does not return on success. Returns the exit status; the reason has been logged. */
int hf_exec(const HfCommandLine *line);

/* Makes a plan from settings, unbound, in a loop of its own. trial: NULL: none. Returns 0 and the
 * plan, or negative errno and error. */
int hf_plan_now(const HfSettings *settings, const char *aliases, const HfTrialStep *trial,
                HfPlan **ret, HfText *error);
