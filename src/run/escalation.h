/* Processes of no generation on their way out: a first signal, then TERM, then KILL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "kernel/process.h"

typedef struct HfEscalation HfEscalation;

/* All have gone, or, with false, some are stuck in the kernel after KILL. From the loop; the
 * callback frees the ladder. */
typedef void (*HfEscalationCallback)(bool gone, void *userdata);

/* Sends signal, which is logged as "WHO and sent SIGNAL: ...", waits patience (usec) before TERM.
 * The pidfds are borrowed until hf_escalation_free, the array and who, static text, are not kept.
 * Returns 0 or negative errno; nothing was sent then. */
int hf_escalation_start(sd_event *loop, const char *who, const HfProcess *processes, size_t n,
                        int signal, uint64_t patience, HfEscalationCallback callback,
                        void *userdata, HfEscalation **ret);

/* TERM now, then KILL: whoever waits wants no more patience. */
void hf_escalation_hurry(HfEscalation *ladder);

/* NULL is fine. Returns NULL. */
HfEscalation *hf_escalation_free(HfEscalation *ladder);
