/* SPDX-License-Identifier: MIT */
/* `holdfast probe`: asks one address once. */
#pragma once

#include "config/options.h"

/* Returns the exit status; why the address is unhealthy has been logged. Of a host with several
 * addresses, and of a port alone, the next is asked where nobody can be reached at one. */
int hf_probe(const HfCommandLine *line);
