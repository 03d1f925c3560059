/* SPDX-License-Identifier: MIT */
/* Plans, as described in service/adapter.h, and their listeners. */
#pragma once

#include "base/text.h"
#include "config/settings.h"
#include "loop/names.h"
#include "run/listener.h"
#include "service/adapter.h"

int hf_plan_new(HfPlan **ret);
HfPlan *hf_plan_ref(HfPlan *plan);
HfPlan *hf_plan_unref(HfPlan *plan);

/* Makes the listeners that a plan wants, or only checks whether that is possible. Returns 0, or
 * negative errno with one line in error. */
typedef int (*HfPlanBinder)(HfPlan *plan, HfText *error, void *userdata);

/* Appends a reference to the listener of the next wanted one. Returns 0 or -ENOMEM. */
int hf_plan_add_listener(HfPlan *plan, HfListener *listener);

/* Finds the listener of an address that is in use elsewhere. Returns 0 and one reference, or
 * negative errno. */
typedef int (*HfPlanFinder)(const HfListenerSpec *spec, HfListener **ret, void *userdata);

/* Fills in listeners: each wanted one from held, else newly bound, else by find (NULL: none); then
 * the placement. Held ones are not changed. Returns 0, or negative errno with one line in error;
 * new ones are closed with the plan. */
int hf_plan_bind(HfPlan *plan, HfListener *const *held, size_t n_held, bool raised,
                 HfPlanFinder find, void *userdata, HfText *error);

/* Gives each listener two sides, the present one being side, as far as handover asks for that, and
 * sets switches if all have them. Returns 0, or -EOPNOTSUPP with one line in error if one cannot
 * and handover insists. */
int hf_plan_pair(HfPlan *plan, HfHandover handover, unsigned side, HfText *error);

/* The plan counts from now on: gives held listeners the names, backlogs and permissions that it
 * wants. Failures are logged, and leave them as they are. */
void hf_plan_apply(HfPlan *plan, bool raised);

/* Appends what tells a generation of its overlay to arguments, and of its number to environment.
 * Return 0 or -ENOMEM. */
int hf_plan_overlay_arguments(const HfPlan *plan, const char *overlay, char ***arguments);
int hf_plan_number_environment(const HfPlan *plan, uint64_t number, char ***environment);

/* Makes the placement, from the bound addresses or, before hf_plan_bind, from the wanted ones.
 * Returns 0, or negative errno with one line in error. */
int hf_plan_place(HfPlan *plan, HfText *error);

/* ---- of settings ---- */

/* The part of a plan that depends on settings alone: program, user, and how it is asked to leave.
 */

/* names: with the answers for these settings. Returns 0 and a plan without listeners, or negative
 * errno, mostly with one line in error: no such program, user or group, or no permission to switch
 * to it. */
int hf_plan_of_settings(const HfSettings *settings, HfNames *names, HfPlan **ret, HfText *error);

/* ---- lists of listeners ---- */

/* The listener in list that spec asks for: with the same address, or activated under spec's name.
 * NULL: none. Borrowed. */
HfListener *hf_listener_find(HfListener *const *list, size_t n, const HfListenerSpec *spec);

/* Identifies the sockets of n listeners, to find their holders. Returns 0 or negative errno. */
int hf_listener_identify(HfListener *const *list, size_t n, HfHeldSockets *ret);

/* Releases an array of references. */
void hf_listener_array_clear(HfListener ***list, size_t *n);
