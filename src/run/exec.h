/* `holdfast exec`: translates what systemd passed, becomes the service. */
#pragma once

#include "config/options.h"

/* Does not return on success. Returns the exit status; why has been logged. */
int hf_exec(const HfCommandLine *line);
