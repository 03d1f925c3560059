/* SPDX-License-Identifier: MIT */
/* The other end of the control socket. */
#pragma once

#include <systemd/sd-bus.h>

#include "base/parse.h"
#include "base/text.h"

#define HF_CLEANUP_BUS __attribute__((cleanup(sd_bus_close_unrefp)))

/* How long an instance may take to let a client in, or to answer what only asks. */
#define HF_CLIENT_TIMEOUT (5 * HF_USEC_PER_SEC)

/* Connects to the instance of that name, or in that directory, or, with name NULL, to the only one
 * that runs, and waits until it has let us in. Returns 0 and a connection (owned), or an exit
 * status (HF_EXIT_...) with one line in error. */
int hf_client_connect(const char *name, sd_bus **ret, HfText *error);

/* The same, with the line logged. */
int hf_client_connect_or_log(const char *name, sd_bus **ret);

/* The directories of the instances that run and may be asked, at least one, sorted by their names;
 * an owned vector. Returns as hf_client_connect. */
int hf_client_list(char ***ret, HfText *error);
