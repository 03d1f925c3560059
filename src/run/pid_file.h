/* SPDX-License-Identifier: MIT */
/* The pid file named by the user's configuration: it contains holdfast's pid, so that log rotation
 * and kill -USR2 keep working. */
#pragma once

#include "run/supervisor.h"

/* Writes the plan's pid file, and removes that of an earlier plan. Called before the first
 * generation is spawned, since php-fpm too writes it before it is ready, and once a generation of
 * another plan is ready. */
void hf_pid_file_write(HfSupervisor *supervisor, const HfPlan *plan);
/* Only if it still contains our pid. */
void hf_pid_file_remove(HfSupervisor *supervisor);
