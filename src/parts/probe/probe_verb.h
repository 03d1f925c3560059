/* `holdfast probe`: asks one address once. */
#pragma once

#include "base/text.h"
#include "config/options.h"

/* Returns 0 when it is well, or negative errno with one line in why. Of a host with several
 * addresses, and of a port alone, the next is asked where nobody can be reached at one. */
int hf_probe_run(const HfProbing *probing, HfText *why);
