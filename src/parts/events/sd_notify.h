/* What holdfast tells the supervisor above it: READY, RELOADING, STOPPING, STATUS, WATCHDOG.
 * sd_notify(3). */
#pragma once

#include "run/supervisor.h"

typedef struct HfSdNotify {
    HfSupervisor *supervisor;
    bool announced; /* READY=1 was sent to our own supervisor */
    char *told;     /* the state that it was told last; NULL: nothing yet */
} HfSdNotify;

/* Keeps the watchdog content where systemd wants one (WATCHDOG_USEC). Returns 0 or negative errno.
 */
int hf_sd_notify_watchdog(HfSupervisor *supervisor);

/* Before the program is replaced, and when it was not. */
void hf_sd_notify_reloading(HfSdNotify *manager);
void hf_sd_notify_again(HfSdNotify *manager);

/* After each step: tells what has changed since it was told last. */
void hf_sd_notify_state(HfSdNotify *manager);
