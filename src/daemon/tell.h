/* What holdfast tells the supervisor above it: READY, RELOADING, STOPPING, STATUS, WATCHDOG.
 * sd_notify(3). */
#pragma once

#include "daemon/supervisor.h"

/* Keeps the watchdog content where systemd wants one (WATCHDOG_USEC). Returns 0 or negative errno.
 */
int hf_tell_watchdog(HfSupervisor *supervisor);

/* Before the program is replaced, and when it was not. */
void hf_tell_reloading(HfSupervisor *supervisor);
void hf_tell_again(HfSupervisor *supervisor);

/* After each step: tells what has changed since it was told last. */
void hf_tell_state(HfSupervisor *supervisor);
