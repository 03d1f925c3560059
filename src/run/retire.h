/* The workers of a stopped main process, asked to leave one after another. */
#pragma once

#include "run/generation.h"

/* Spreads the stop signal over its workers, 5 ms apart or closer, so that it takes at most time
 * (usec). Calls generation->callbacks.retired from the loop. */
void hf_retire_begin(HfGeneration *generation, uint64_t time);
/* No further worker is asked. Harmless when nothing runs. */
void hf_retire_end(HfGeneration *generation);
