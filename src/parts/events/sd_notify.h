/* SPDX-License-Identifier: MIT */
/* The one queue to the manager above: READY, RELOADING, STOPPING, STATUS, WATCHDOG, FDSTORE and
 * FDSTOREREMOVE. What it does not read at once waits, in order, and is sent when it does; a later
 * one takes the place of those that it makes pointless, so that few wait. sd_notify(3). */
#pragma once

#include <stdbool.h>

#include "run/activated.h"
#include "run/supervisor.h"

typedef struct HfSdNotify HfSdNotify;

/* Keeps the watchdog content, too, where the manager wants that (WATCHDOG_USEC). NULL without a
 * manager, which all take. Returns 0 or negative errno. */
int hf_sd_notify_new(HfSupervisor *supervisor, HfSdNotify **ret);
HfSdNotify *hf_sd_notify_free(HfSdNotify *notify);

/* Once it is known what is gone on with. */
void hf_sd_notify_claimed(HfSdNotify *notify);
/* After each step: tells what has changed since it was told last. */
void hf_sd_notify_state(HfSdNotify *notify);
/* Before the program is replaced, and when it was not. */
void hf_sd_notify_reloading(HfSdNotify *notify);
void hf_sd_notify_again(HfSdNotify *notify);
/* For the next program. Returns 0 or -ENOMEM. */
int hf_sd_notify_captured(const HfSdNotify *notify, HfNotes *notes);

/* Puts fd into the manager's store of descriptors; it is copied where it has to wait. Returns 0 or
 * negative errno. */
int hf_sd_notify_store(HfSdNotify *notify, const char *name, int fd);
/* Takes all of that name out. Returns 0 or negative errno. */
int hf_sd_notify_unstore(HfSdNotify *notify, const char *name);
/* Does something of that name wait? */
bool hf_sd_notify_waits(const HfSdNotify *notify, const char *name);
