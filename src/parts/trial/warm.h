/* Warm-up: fills the caches of a ready generation that nobody meets yet. It never fails. */
#pragma once

#include "parts/trial/warm_parts.h"

/* Is there anything to do? */
bool hf_warm_has_work(const HfSettings *settings);

/* settings: those of the generation to warm, borrowed, as both are. before: whose cache is looked
 * at; NULL: nobody's. Returns 0 or negative errno. */
int hf_warm_start(HfSupervisor *supervisor, const HfSettings *settings, const HfGeneration *before,
                  const HfGeneration *generation, HfWarmCallback callback, void *userdata,
                  HfWarmUp **ret);
/* generation is going to be freed. */
void hf_warm_lose(HfWarmUp *warm, const HfGeneration *generation);
/* Puts the priority back; no call back. NULL is fine. Returns NULL. */
HfWarmUp *hf_warm_abort(HfWarmUp *warm);
