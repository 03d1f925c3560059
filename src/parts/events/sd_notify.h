/* What holdfast tells the supervisor above it: READY, RELOADING, STOPPING, STATUS, WATCHDOG.
 * sd_notify(3). */
#pragma once

#include "parts/events/events.h"

/* Keeps the watchdog content where systemd wants one (WATCHDOG_USEC). Returns 0 or negative errno.
 */
int hf_sd_notify_watchdog(HfSupervisor *supervisor);

/* Before the program is replaced, and when it was not. */
void hf_sd_notify_reloading(HfEvents *events);
void hf_sd_notify_again(HfEvents *events);

/* After each step: tells what has changed since it was told last. */
void hf_sd_notify_state(HfEvents *events);
