/* The other end of the control socket. */
#pragma once

#include <systemd/sd-bus.h>

#include "base/text.h"

/* Connects to the instance of that name, or, with name NULL, to the only one that runs. Returns 0
 * and a started connection (owned), or an exit status (HF_EXIT_...) with one line in error. */
int hf_client_connect(const char *name, sd_bus **ret, HfText *error);
