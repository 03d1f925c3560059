/* The part that says what happened: to the log, to a short memory and a history, to the user's
 * commands, and to the supervisor above. */
#pragma once

#include "parts/events/history.h"
#include "parts/events/hooks.h"
#include "parts/events/notices.h"
#include "parts/events/sd_notify.h"
#include "run/supervisor.h"

typedef struct HfEvents {
    HfSupervisor *supervisor;
    HfNotices notices;
    HfHistory history;
    HfHooks *hooks;
    HfSdNotify *notify; /* NULL: nobody is above us */
} HfEvents;

extern const HfPart hf_part_events;

/* Of supervisor, for the parts that need it. */
HfEvents *hf_events_of(const HfSupervisor *supervisor);

/* Counts the processes of a generation for the history. memory, bytes, may be NULL. Returns 0 or
 * negative errno. */
int hf_events_measure(HfEvents *events, const HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory);
