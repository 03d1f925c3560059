/* SPDX-License-Identifier: MIT */
/* The verbs that ask a running instance. Each takes its parsed command line and returns the exit
 * status. */
#pragma once

#include "config/options.h"

int hf_cli_call(const HfCommandLine *line); /* reload, restart, stop */
int hf_cli_status(const HfCommandLine *line);
int hf_cli_history(const HfCommandLine *line);
int hf_cli_metrics(const HfCommandLine *line);
int hf_cli_upgrade(const HfCommandLine *line);
