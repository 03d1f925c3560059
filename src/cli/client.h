/* The other end of the control socket. */
#pragma once

#include <systemd/sd-bus.h>

#include "base/text.h"

#define HF_CLEANUP_BUS __attribute__((cleanup(sd_bus_close_unrefp)))

/* Connects to the instance of that name, or, with name NULL, to the only one that runs. Returns 0
 * and a started connection (owned), or an exit status (HF_EXIT_...) with one line in error. */
int hf_client_connect(const char *name, sd_bus **ret, HfText *error);

/* The same, with the line logged. */
int hf_client_connect_or_log(const char *name, sd_bus **ret);

/* The names of the instances that run and may be asked, at least one, sorted; an owned vector.
 * Returns as hf_client_connect. */
int hf_client_list(char ***ret, HfText *error);
