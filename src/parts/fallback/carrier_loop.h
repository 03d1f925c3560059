/* SPDX-License-Identifier: MIT */
/* The carrier at work, in its process. */
#pragma once

#include <stddef.h>

#include "format/address.h"

#define HF_CARRIER_LISTENERS   128
#define HF_CARRIER_CONNECTIONS 128 /* at once; what comes beyond waits in the queue */

typedef struct HfCarrierTask {
    int fds[HF_CARRIER_LISTENERS];           /* listeners; closed when they are let go */
    HfAddress targets[HF_CARRIER_LISTENERS]; /* where what comes there is carried to */
    size_t n;
    int counting; /* gets a byte for each connection */
} HfCarrierTask;

/* Until nobody has come for a while and nothing is open, or, once stop_fd is readable, until
 * nothing is open. Returns 0 or negative errno. */
int hf_carrier_serve(HfCarrierTask *task, int stop_fd);
