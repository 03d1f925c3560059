/* systemd's units: of a process that holdfast did not start, and what is left in one that was
 * stopped while no holdfast ran in it. systemd.service(5), org.freedesktop.systemd1(5). */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"

/* Would systemd get in the way when pid, a unit's main process, ends: start it again (Restart=),
 * run what removes its socket (ExecStopPost=), or remove the directory of its socket
 * (RuntimeDirectory=)? Asks systemd and waits for the answer. Returns 0 when not, or when pid is of
 * no unit but our own; negative errno and in error the unit's name and the commands that keep
 * systemd from it, also when it cannot be asked. */
int hf_unit_check(pid_t pid, HfText *error);

/* Waits until systemd has done with unit, then ends every process that is left in it: QUIT where
 * php-fpm is among them, else TERM, after drain_timeout (usec) TERM, then KILL; SIGTERM to us goes
 * on to TERM at once. When systemd starts the unit again nothing is touched. What goes wrong is
 * logged. Returns 0, or negative errno. */
int hf_unit_cleanup(const char *unit, uint64_t drain_timeout);
