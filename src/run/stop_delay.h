/* From the wish that holdfast stops to the stop: the service goes on for --stop-delay, until load
 * balancers have heard that it leaves, and then until who waits in a queue has been taken. */
#pragma once

#include "run/supervisor.h"

/* event: STOP_SIGNAL, or REQUEST stop. Posts it at once where there is nothing to wait for, when
 * no generation is active, or when another wish came before: that ends the wait, and is a stop
 * that hurries if the delay was over already. */
void hf_stop_delay_ask(HfSupervisor *supervisor, const HfEvent *event);

/* Posts at once what was asked for. Harmless when nothing was. */
void hf_stop_delay_cut_short(HfSupervisor *supervisor);

/* NULL is fine. Returns NULL. */
HfStopDelay *hf_stop_delay_free(HfStopDelay *farewell);
