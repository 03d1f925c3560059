/* The answerer as the supervisor keeps it: one at most, ended before it can be missed. */
#pragma once

#include "run/supervisor.h"

/* Starts it over the current plan's listeners. A failure posts ANSWERER_GONE, as its unasked end
 * does. */
void hf_outage_begin(HfSupervisor *supervisor);
/* Tells it to stop; it takes no further connection. Harmless when it does not run. */
void hf_outage_end(HfSupervisor *supervisor);
/* Waits until the one that was told to stop has ended, at most 3 s: its grace is 1 s. For the very
 * end, when nothing else is left to do. */
void hf_outage_await(HfSupervisor *supervisor);
