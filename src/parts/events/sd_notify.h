/* What holdfast tells the supervisor above it: READY, RELOADING, STOPPING, STATUS, WATCHDOG.
 * sd_notify(3). */
#pragma once

#include "run/supervisor.h"

/* Keeps the watchdog content where systemd wants one (WATCHDOG_USEC). Returns 0 or negative errno.
 */
int hf_sd_notify_watchdog(HfSupervisor *supervisor);

/* Before the program is replaced, and when it was not. */
void hf_sd_notify_reloading(HfSupervisor *supervisor);
void hf_sd_notify_again(HfSupervisor *supervisor);

/* After each step: tells what has changed since it was told last. */
void hf_sd_notify_state(HfSupervisor *supervisor);
