/* SPDX-License-Identifier: MIT */
/* systemd units other than our own: one whose server is being taken over, and one that was stopped
 * while no holdfast ran in it. systemd.service(5). */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/text.h"

typedef struct HfUnitCheck HfUnitCheck;

/* Would systemd interfere when pid, a unit's main process, ends: restart it (Restart=), run
 * commands that remove its socket (ExecStopPost=), or remove the socket's directory
 * (RuntimeDirectory=)? Returns 0 when not, or when pid is in no unit but our own; HF_UNIT_ASKED:
 * systemd is being asked, known(userdata) is called from the loop when there is an answer, and then
 * this must be called again; or negative errno, also when systemd does not answer, with the unit's
 * name and the commands that prevent this in error. *check: starts as NULL, kept by the caller. */
enum {
    HF_UNIT_ASKED = 1,
};
int hf_unit_check(HfUnitCheck **check, sd_event *loop, pid_t pid, void (*known)(void *userdata),
                  void *userdata, HfText *error);
/* Accepts and returns NULL. */
HfUnitCheck *hf_unit_check_free(HfUnitCheck *check);

/* Waits until systemd has finished with unit, then ends every process left in it: QUIT if php-fpm
 * is among them, else TERM, after drain_timeout (usec) TERM, then KILL; SIGTERM to us moves on to
 * TERM at once. If systemd starts the unit again nothing is touched. Errors are logged. Returns 0
 * or negative errno. */
int hf_unit_cleanup(const char *unit, uint64_t drain_timeout);
