/* SPDX-License-Identifier: MIT */
/* The user's command for what happens (--on-event): one at a time, never in the way. */
#pragma once

#include "parts/events/notices.h"
#include "run/supervisor.h"

typedef struct HfHooks HfHooks;

/* Subscribes to the notices: for each the command that the settings name at that moment is run by
 * /bin/sh -c, after those that wait already. One that waits for a notice of the same name serves
 * for both, told by HOLDFAST_REPEATS: so never more wait than there are names. Returns 0 or
 * negative errno. */
int hf_hooks_new(HfSupervisor *supervisor, HfNotices *notices, HfHooks **ret);
/* Kills a command that runs. NULL is fine. Returns NULL. */
HfHooks *hf_hooks_free(HfHooks *hooks);

/* An upgrade is to come: nothing is started until hf_hooks_release. Does a command run? Then
 * UPGRADE_TESTED is posted when it has ended. */
bool hf_hooks_hold(HfHooks *hooks);
void hf_hooks_release(HfHooks *hooks);
/* What waits, for the program after this one, and from the one before it. Return 0 or -ENOMEM. */
int hf_hooks_captured(const HfHooks *hooks, HfNotes *notes);
int hf_hooks_claimed(HfHooks *hooks);

/* The session of the command that runs, or 0. */
pid_t hf_hooks_session(const HfHooks *hooks);

/* Calls back from the loop once everything that waits has been run, or after the time that one
 * command may take. */
typedef void (*HfHooksCallback)(void *userdata);
int hf_hooks_finish(HfHooks *hooks, HfHooksCallback callback, void *userdata);
