/* The verbs. Each takes its parsed command line and returns the exit status. */
#pragma once

#include "config/options.h"

/* Exit statuses, holdfast(1). */
enum {
    HF_EXIT_DONE = 0,
    HF_EXIT_FAILED = 1,
    HF_EXIT_USAGE = 2,
    HF_EXIT_NOT_RUNNING = 3,
    HF_EXIT_NOT_PERMITTED = 4,
};

int hf_cli_run(const HfCommandLine *line);
int hf_cli_exec(const HfCommandLine *line);
int hf_cli_check(const HfCommandLine *line);
int hf_cli_call(const HfCommandLine *line); /* reload, restart, stop */
int hf_cli_status(const HfCommandLine *line);
int hf_cli_history(const HfCommandLine *line);
int hf_cli_metrics(const HfCommandLine *line);
int hf_cli_probe(const HfCommandLine *line);
int hf_cli_upgrade(const HfCommandLine *line);
