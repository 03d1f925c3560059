/* SPDX-License-Identifier: MIT */
/* The pid file that the user's configuration names: it names holdfast, so that log rotation and
 * kill -USR2 go on working. */
#pragma once

#include "run/supervisor.h"

/* Writes what the plan names, and removes what an earlier plan named: before the first generation
 * is spawned, as php-fpm has it before it is ready, and once one of another plan is ready. */
void hf_pid_file_write(HfSupervisor *supervisor, const HfPlan *plan);
/* If it still names us. */
void hf_pid_file_remove(HfSupervisor *supervisor);
