/* SPDX-License-Identifier: MIT */
/* The carrier's loop, in its own process. */
#pragma once

#include <stddef.h>

#include "format/address.h"

#define HF_CARRIER_LISTENERS   128
#define HF_CARRIER_CONNECTIONS 128 /* at once; more wait in the queue */

typedef struct HfCarrierTask {
    int fds[HF_CARRIER_LISTENERS];           /* listeners; closed once let go */
    HfAddress targets[HF_CARRIER_LISTENERS]; /* where to relay their connections */
    size_t n;
    int counting; /* gets a byte for each connection */
} HfCarrierTask;

/* Serves until nobody has connected for a while and no connection is open or, once stop_fd is
 * readable, until none is open. Returns 0 or negative errno. */
int hf_carrier_serve(HfCarrierTask *task, int stop_fd);
