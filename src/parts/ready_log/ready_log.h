/* Readiness by a text in the log: a generation's relay. */
#pragma once

#include "run/generation.h"

/* Starts it before the service is spawned. output: what it passes everything on to; -1: as it came,
 * to our stdout and stderr. Returns 0 or negative errno. */
int hf_ready_log_begin(HfGeneration *generation, int output);
/* The service has been spawned. */
void hf_ready_log_spawned(HfGeneration *generation);
/* The text counts no more; the relay goes on. */
void hf_ready_log_ignore(HfGeneration *generation);
/* Nobody listens to the relay any more, it ends by itself. */
void hf_ready_log_forget(HfGeneration *generation);

#define HF_RELAYS_MAX 64

/* Relays whose generations have been forgotten. A zeroed one is empty. */
typedef struct HfRelays {
    HfProcess list[HF_RELAYS_MAX];
    size_t n;
} HfRelays;

/* Takes the generation's relay over, if it has one. */
void hf_relays_keep(HfRelays *relays, HfGeneration *generation);
/* At the very end: waits until they have passed on what was written, at most a second; one that
 * nobody reads, or whose writers are spared, goes on by itself. Empties the list. */
void hf_relays_await(HfRelays *relays);
