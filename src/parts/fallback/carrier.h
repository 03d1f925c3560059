/* SPDX-License-Identifier: MIT */
/* Carries connections over that arrive on a side after its generation has left, because their
 * handshakes began before a switch, and those that were held. A helper process relays them to the
 * current side, so that slow ones delay nothing else. */
#pragma once

#include "run/supervisor.h"

#define HF_CARRIER_WORD    "carry" /* first word after HF_ANSWERER_OPTION */
#define HF_CARRIER_TARGETS 4       /* index of the first listener's target among the words */

typedef struct HfCarrier HfCarrier;

/* held: those that were held, in place of late ones. Returns 0 or -ENOMEM. */
int hf_carrier_new(HfSupervisor *supervisor, bool held, HfCarrier **ret);
/* After each step: watches the sides without a generation, and lets go of those that have one
 * again. */
void hf_carrier_look(HfCarrier *carrier);
/* Watches no side any more; the helper finishes its connections. */
void hf_carrier_stop(HfCarrier *carrier);
/* Returns NULL. */
HfCarrier *hf_carrier_free(HfCarrier *carrier);

/* Runs the helper: argv is that of HF_ANSWERER_OPTION, listeners are open from descriptor 3 on,
 * followed by a pipe that gets a byte per connection. Returns the exit status. */
int hf_carrier_main(int argc, char **argv);
