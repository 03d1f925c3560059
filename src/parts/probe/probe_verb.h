/* SPDX-License-Identifier: MIT */
/* `holdfast probe`: sends one question to one address. */
#pragma once

#include "config/options.h"

/* Returns the exit status; the reason why the address is unhealthy has been logged. If a host has
 * several addresses, or only a port is given, it tries the next one when nobody can be reached. */
int hf_probe(const HfCommandLine *line);
