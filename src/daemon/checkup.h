/* One listener's part in a probe: is somebody there who answers, and if not, are they only busy? */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "core/machine.h"
#include "daemon/generation.h"

typedef struct HfCheckup HfCheckup;

/* What the last probes knew of a pool. */
typedef struct HfReading {
    bool known;
    uint64_t accepted; /* requests, while all workers were busy */
} HfReading;

typedef struct HfCheckupQuestion {
    sd_event *loop;
    const char *page;               /* to ask for over FastCGI, NULL: only connect; borrowed */
    uint64_t timeout;               /* usec, of each question */
    const HfGeneration *generation; /* borrowed, as the others, until the call back */
    size_t listener;                /* of its plan */
    HfReading *reading;             /* of its pool, or NULL; borrowed, written to */
} HfCheckupQuestion;

/* text: one line on what is wrong, "" when nothing is. The checkup has been freed already. Comes
 * from the loop, never from within hf_checkup_start. */
typedef void (*HfCheckupCallback)(HfVerdict verdict, const char *text, void *userdata);

/* Returns 0, or negative errno when holdfast itself can not. */
int hf_checkup_start(const HfCheckupQuestion *question, HfCheckupCallback callback, void *userdata,
                     HfCheckup **ret);
/* No call back. NULL is fine. Returns NULL. */
HfCheckup *hf_checkup_abort(HfCheckup *checkup);
