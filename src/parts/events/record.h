/* What the machine decided, for the history. */
#pragma once

#include "parts/events/events.h"

/* Before hf_report, whose readers may look at the history. */
void hf_record(HfEvents *events, const HfAction *action);

/* Counts the processes of a generation for the history. memory, bytes, may be NULL. Returns 0 or
 * negative errno. */
int hf_record_measure(HfEvents *events, const HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory);
