/* SPDX-License-Identifier: MIT */
/* The one queue to the manager above, for READY, RELOADING, STOPPING, STATUS, WATCHDOG, FDSTORE and
 * FDSTOREREMOVE. Messages that it does not read at once wait, in order, and are sent when it does;
 * a later one replaces those that it makes pointless, so few wait. sd_notify(3). */
#pragma once

#include <stdbool.h>

#include "run/activated.h"
#include "run/supervisor.h"

typedef struct HfSdNotify HfSdNotify;

/* Also sends watchdog pings if the manager wants them (WATCHDOG_USEC). *ret is NULL without a
 * manager, and all functions accept that. Returns 0 or negative errno. */
int hf_sd_notify_new(HfSupervisor *supervisor, HfSdNotify **ret);
HfSdNotify *hf_sd_notify_free(HfSdNotify *notify);

/* Called once it is known what is being resumed, if anything. */
void hf_sd_notify_claimed(HfSdNotify *notify);
/* After each step: sends what has changed. */
void hf_sd_notify_state(HfSdNotify *notify);
/* Before the program is replaced, and if that failed. */
void hf_sd_notify_reloading(HfSdNotify *notify);
void hf_sd_notify_again(HfSdNotify *notify);
/* Adds notes for the next program. Returns 0 or -ENOMEM. */
int hf_sd_notify_captured(const HfSdNotify *notify, HfNotes *notes);

/* Puts fd into the manager's fd store; copies it if the message has to wait. Returns 0 or negative
 * errno. */
int hf_sd_notify_store(HfSdNotify *notify, const char *name, int fd);
/* Removes all descriptors with that name from the store. Returns 0 or negative errno. */
int hf_sd_notify_unstore(HfSdNotify *notify, const char *name);
/* Is a message about that name waiting? */
bool hf_sd_notify_waits(const HfSdNotify *notify, const char *name);
