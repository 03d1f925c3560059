/* Before a stop who waits in a queue is served: nobody tells when that is so, it is looked at. */
#pragma once

#include "run/supervisor.h"

/* on: looks until nobody waits, and posts QUEUE_SERVED then; from within when nobody does. */
void hf_stop_delay_watch(HfSupervisor *supervisor, bool on);

/* NULL is fine. Returns NULL. */
HfStopDelay *hf_stop_delay_free(HfStopDelay *delay);
