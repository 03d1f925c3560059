/* SPDX-License-Identifier: MIT */
/* Connections that arrive on a side which nobody serves any more: their handshakes began before a
 * switch and ended after the old generation had left. A helper process carries them over to the
 * current side. In a process of its own a slow one is in nobody's way. */
#pragma once

#include "run/supervisor.h"

#define HF_CARRIER_WORD    "carry" /* in place of the answerer's first */
#define HF_CARRIER_TARGETS 4       /* from this word on: where each listener's are carried to */

typedef struct HfCarrier HfCarrier;

/* Returns 0 or -ENOMEM. */
int hf_carrier_new(HfSupervisor *supervisor, HfCarrier **ret);
/* After each step: looks at the sides that nobody serves, lets those go that somebody does. */
void hf_carrier_look(HfCarrier *carrier);
/* Looks at nothing any more; the helper finishes what it has. */
void hf_carrier_stop(HfCarrier *carrier);
/* Returns NULL. */
HfCarrier *hf_carrier_free(HfCarrier *carrier);

/* The helper: argv is HF_ANSWERER_OPTION's, listeners are open from descriptor 3 on, and behind
 * them a pipe that gets a byte for each connection. Returns the exit status. */
int hf_carrier_main(int argc, char **argv);
