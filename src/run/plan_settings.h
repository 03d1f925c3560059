/* What settings alone say of a plan: what is run, whose it is, and how it is asked to leave. */
#pragma once

#include "base/text.h"
#include "config/settings.h"
#include "run/names.h"
#include "run/plan.h"

/* names: asked for the service of these settings. Returns 0 and a plan without listeners, or
 * negative errno, mostly with one line in error: no such program, user or group, or holdfast has
 * not the right to switch to it. */
int hf_plan_of_settings(const HfSettings *settings, HfNames *names, HfPlan **ret, HfText *error);
