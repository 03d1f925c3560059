/* The systemd unit of a process that holdfast did not start. systemd.service(5). */
#pragma once

#include <sys/types.h>

#include "base/text.h"

/* Would systemd get in the way when pid, a unit's main process, ends: start it again (Restart=),
 * run what removes its socket (ExecStopPost=), or remove the directory of its socket
 * (RuntimeDirectory=)? Asks systemd and waits for the answer. Returns 0 when not, or when pid is of
 * no unit but our own; negative errno and in error the unit's name and the commands that keep
 * systemd from it, also when it cannot be asked. */
int hf_unit_check(pid_t pid, HfText *error);
