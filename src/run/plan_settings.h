/* What settings alone say of a plan: what is run, whose it is, and how it is asked to leave. */
#pragma once

#include "base/text.h"
#include "config/settings.h"
#include "loop/names.h"
#include "run/plan.h"

/* names: asked for the service of these settings. Returns 0 and a plan without listeners, or
 * negative errno, mostly with one line in error: no such program, user or group, or holdfast has
 * not the right to switch to it. */
int hf_plan_of_settings(const HfSettings *settings, HfNames *names, HfPlan **ret, HfText *error);

/* The environment of a child: a copy of holdfast's own without what was meant for holdfast alone
 * (hf_handoff_is_foreign), then the entries of each vector (NULL: none). Owned. Returns 0 or
 * -ENOMEM. */
int hf_environment_make(char *const *first, const char *const *second, char ***ret);
