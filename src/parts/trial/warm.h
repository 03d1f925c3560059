/* SPDX-License-Identifier: MIT */
/* Warm-up: fills the caches of a ready generation that nobody meets yet. It never fails. */
#pragma once

#include "parts/trial/warm_parts.h"

/* Is there anything to do? */
bool hf_warm_has_work(const HfSettings *settings);

/* settings: those of the generation to warm, borrowed, as both are. before: whose cache is looked
 * at; NULL: nobody's. priority: of the generation, lowered, and put back at the end as far as the
 * kernel takes that; else the caller has to. Returns 0 or negative errno. */
int hf_warm_start(HfSupervisor *supervisor, const HfSettings *settings, const HfGeneration *before,
                  const HfGeneration *generation, HfPriority *priority, HfWarmCallback callback,
                  void *userdata, HfWarmUp **ret);
/* generation is going to be freed. */
void hf_warm_lose(HfWarmUp *warm, const HfGeneration *generation);
/* No call back; the priority is left as it is. NULL is fine. Returns NULL. */
HfWarmUp *hf_warm_abort(HfWarmUp *warm);
