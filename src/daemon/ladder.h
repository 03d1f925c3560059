/* Processes of no generation on their way out: a first signal, then TERM, then KILL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "sys/process.h"

typedef struct HfLadder HfLadder;

/* All have gone, or, with false, some are stuck in the kernel after KILL. From the loop; the
 * callback frees the ladder. */
typedef void (*HfLadderCallback)(bool gone, void *userdata);

/* Sends signal, which is logged as "WHO and sent SIGNAL: ...", waits patience (usec) before TERM.
 * The pidfds are borrowed until hf_ladder_free, the array and who, static text, are not kept.
 * Returns 0 or negative errno; nothing was sent then. */
int hf_ladder_start(sd_event *loop, const char *who, const HfProcess *processes, size_t n,
                    int signal, uint64_t patience, HfLadderCallback callback, void *userdata,
                    HfLadder **ret);

/* TERM now, then KILL: whoever waits wants no more patience. */
void hf_ladder_hurry(HfLadder *ladder);

/* NULL is fine. Returns NULL. */
HfLadder *hf_ladder_free(HfLadder *ladder);
