/* The part that says what happened: to the log, to a short memory and a history, to the user's
 * commands, and to the supervisor above. */
#pragma once

#include "parts/events/history.h"
#include "parts/events/hooks.h"
#include "parts/events/notices.h"
#include "run/supervisor.h"

typedef struct HfEvents {
    HfSupervisor *supervisor;
    HfNotices notices;
    HfHistory history;
    HfHooks *hooks;
    bool announced; /* READY=1 was sent to our own supervisor */
    char *told;     /* the state that it was told last; NULL: nothing yet */
} HfEvents;

extern const HfPart hf_part_events;

/* Of supervisor, for the parts that need it. */
HfEvents *hf_events_of(const HfSupervisor *supervisor);
