/* SPDX-License-Identifier: MIT */
/* Warm-up: fills the caches of a ready generation that no client has reached yet. It never fails.
 */
#pragma once

#include "parts/trial/warm_parts.h"

/* Is there anything to do? */
bool hf_warm_has_work(const HfSettings *settings);

/* settings: those of the generation to warm; borrowed, like both generations. before: whose cache
 * is read; NULL: none. priority: the generation's, lowered here and restored at the end as far as
 * the kernel allows; otherwise the caller must restore it. Returns 0 or negative errno. */
int hf_warm_start(HfSupervisor *supervisor, const HfSettings *settings, const HfGeneration *before,
                  const HfGeneration *generation, HfPriority *priority, HfWarmCallback callback,
                  void *userdata, HfWarmUp **ret);
/* generation is about to be freed. */
void hf_warm_lose(HfWarmUp *warm, const HfGeneration *generation);
/* No callback; leaves the priority as it is. Accepts and returns NULL. */
HfWarmUp *hf_warm_abort(HfWarmUp *warm);
