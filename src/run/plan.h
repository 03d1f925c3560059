/* SPDX-License-Identifier: MIT */
/* Plans, which service/adapter.h describes, and their listeners. */
#pragma once

#include "base/text.h"
#include "config/settings.h"
#include "loop/names.h"
#include "run/listener.h"
#include "service/adapter.h"

int hf_plan_new(HfPlan **ret);
HfPlan *hf_plan_ref(HfPlan *plan);
HfPlan *hf_plan_unref(HfPlan *plan);

/* Makes the listeners of a plan whose wanted ones are known, or only looks whether they could be
 * made. Returns 0, or negative errno with one line in error. */
typedef int (*HfPlanBinder)(HfPlan *plan, HfText *error, void *userdata);

/* Appends a reference to the listener of the next wanted one. Returns 0 or -ENOMEM. */
int hf_plan_add_listener(HfPlan *plan, HfListener *listener);

/* For an address that is in use: finds its listener elsewhere. Returns 0 and one reference, or
 * negative errno. */
typedef int (*HfPlanFinder)(const HfListenerSpec *spec, HfListener **ret, void *userdata);

/* Fills listeners: each wanted one from those among held, else newly bound, else by find (NULL: not
 * looked for); then the placement. Those held stay as they are. Returns 0, or negative errno with
 * one line in error; what was newly bound is closed with the plan. */
int hf_plan_bind(HfPlan *plan, HfListener *const *held, size_t n_held, bool raised,
                 HfPlanFinder find, void *userdata, HfText *error);

/* Sees to it that each listener has two sides, now served on side, where handover asks for that;
 * says in switches whether all have. Returns 0, or -EOPNOTSUPP with one line in error: not all, and
 * handover does without none. */
int hf_plan_pair(HfPlan *plan, HfHandover handover, unsigned side, HfText *error);

/* The plan counts from now on: gives the listeners that were held before the names, backlogs and
 * rights that it wants. What cannot be changed is logged and stays. */
void hf_plan_apply(HfPlan *plan, bool raised);

/* What a generation of the plan is told of its overlay, appended to arguments, and of its number,
 * appended to environment, if anything. Return 0 or -ENOMEM. */
int hf_plan_overlay_arguments(const HfPlan *plan, const char *overlay, char ***arguments);
int hf_plan_number_environment(const HfPlan *plan, uint64_t number, char ***environment);

/* Makes the placement, from the bound addresses, or, before hf_plan_bind, from the wanted ones.
 * Returns 0 or negative errno with one line in error. */
int hf_plan_place(HfPlan *plan, HfText *error);

/* ---- of settings ---- */

/* What settings alone say of a plan: what is run, whose it is, and how it is asked to leave. */

/* names: asked for the service of these settings. Returns 0 and a plan without listeners, or
 * negative errno, mostly with one line in error: no such program, user or group, or holdfast has
 * not the right to switch to it. */
int hf_plan_of_settings(const HfSettings *settings, HfNames *names, HfPlan **ret, HfText *error);

/* The environment of a child: a copy of holdfast's own without what was meant for holdfast alone
 * (hf_handoff_is_foreign), then the entries of each vector (NULL: none). Owned. Returns 0 or
 * -ENOMEM. */
int hf_environment_make(char *const *first, const char *const *second, char ***ret);

/* ---- lists of listeners ---- */

/* The listener among n that spec asks for: same address, or received under spec's name. NULL: none.
 * Borrowed. */
HfListener *hf_listener_find(HfListener *const *list, size_t n, const HfListenerSpec *spec);

/* The sockets of n listeners, by which their holders are known. Returns 0 or negative errno. */
int hf_listener_identify(HfListener *const *list, size_t n, HfHeldSockets *ret);
