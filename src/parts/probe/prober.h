/* One listener's part in a probe: is somebody there who answers, and if not, are they only busy? */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "policy/machine.h"
#include "run/generation.h"

typedef struct HfProber HfProber;

/* What the last probes knew of a pool. */
typedef struct HfReading {
    bool known;
    uint64_t accepted; /* requests, while all workers were busy */
} HfReading;

typedef struct HfProberQuestion {
    sd_event *loop;
    const char *page;               /* to ask for over FastCGI, NULL: only connect; borrowed */
    uint64_t timeout;               /* usec, of each question */
    const HfGeneration *generation; /* borrowed, as the others, until the call back */
    size_t listener;                /* of its plan */
    HfReading *reading;             /* of its pool, or NULL; borrowed, written to */
} HfProberQuestion;

/* text: one line on what is wrong, "" when nothing is. The checkup has been freed already. Comes
 * from the loop, never from within hf_prober_start. */
typedef void (*HfProberCallback)(HfVerdict verdict, const char *text, void *userdata);

/* Returns 0, or negative errno when holdfast itself cannot. */
int hf_prober_start(const HfProberQuestion *question, HfProberCallback callback, void *userdata,
                    HfProber **ret);
/* No call back. NULL is fine. Returns NULL. */
HfProber *hf_prober_abort(HfProber *checkup);
