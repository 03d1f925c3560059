/* SPDX-License-Identifier: MIT */
/* Units of systemd that are not ours: one whose server is taken over, and one that was stopped
 * while no holdfast ran in it. systemd.service(5). */
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/text.h"

typedef struct HfUnitCheck HfUnitCheck;

/* Would systemd get in the way when pid, a unit's main process, ends: start it again (Restart=),
 * run what removes its socket (ExecStopPost=), or remove the directory of its socket
 * (RuntimeDirectory=)? Returns 0 when not, or when pid is of no unit but our own; HF_UNIT_ASKED:
 * systemd is asked, known(userdata) is called from the loop when that is known, and the question is
 * to be put again; or negative errno, and in error the unit's name and the commands that keep
 * systemd from it, also when it does not answer. *check: starts as NULL, kept by the caller. */
enum {
    HF_UNIT_ASKED = 1,
};
int hf_unit_check(HfUnitCheck **check, sd_event *loop, pid_t pid, void (*known)(void *userdata),
                  void *userdata, HfText *error);
/* NULL is fine. Returns NULL. */
HfUnitCheck *hf_unit_check_free(HfUnitCheck *check);

/* Waits until systemd has done with unit, then ends every process that is left in it: QUIT where
 * php-fpm is among them, else TERM, after drain_timeout (usec) TERM, then KILL; SIGTERM to us goes
 * on to TERM at once. When systemd starts the unit again nothing is touched. What goes wrong is
 * logged. Returns 0, or negative errno. */
int hf_unit_cleanup(const char *unit, uint64_t drain_timeout);
