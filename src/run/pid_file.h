/* The pid file that the user's configuration names: it names holdfast, so that log rotation and
 * kill -USR2 go on working. */
#pragma once

#include "run/supervisor.h"

/* Once the generation in slot is ready: writes what its plan names, and removes what an earlier
 * plan named. */
void hf_pid_file_write(HfSupervisor *supervisor, unsigned slot);
/* If it still names us. */
void hf_pid_file_remove(HfSupervisor *supervisor);
