/* SPDX-License-Identifier: MIT */
/* The user's commands for events (--on-event): one at a time, without delaying anything. */
#pragma once

#include "parts/events/notices.h"
#include "run/supervisor.h"

typedef struct HfHooks HfHooks;

/* Subscribes to the notices: for each one runs the command in the settings by /bin/sh -c, after
 * those already waiting. Notices of the same name that wait share one run (HOLDFAST_REPEATS tells),
 * so no more wait than there are names. Returns 0 or negative errno. */
int hf_hooks_new(HfSupervisor *supervisor, HfNotices *notices, HfHooks **ret);
/* Kills a running command. Accepts and returns NULL. */
HfHooks *hf_hooks_free(HfHooks *hooks);

/* Before an upgrade: starts no command until hf_hooks_release. Is one running? Then UPGRADE_TESTED
 * is posted when it has ended. */
bool hf_hooks_hold(HfHooks *hooks);
void hf_hooks_release(HfHooks *hooks);
/* The queue, for the next program and from the previous one. Return 0 or -ENOMEM. */
int hf_hooks_captured(const HfHooks *hooks, HfNotes *notes);
int hf_hooks_claimed(HfHooks *hooks);

/* The session of the running command, or 0. */
pid_t hf_hooks_session(const HfHooks *hooks);

/* Calls back from the loop once all waiting commands have run, or after the time allowed for one.
 */
typedef void (*HfHooksCallback)(void *userdata);
int hf_hooks_finish(HfHooks *hooks, HfHooksCallback callback, void *userdata);
