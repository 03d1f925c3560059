/* SPDX-License-Identifier: MIT */
/* The delay before the next start after a run of failures. */
#pragma once

#include <stdint.h>

#include "base/parse.h"

#define HF_BACKOFF_FIRST (100 * HF_USEC_PER_MSEC)

/* failures: how many in a row. None and the first give 0, an immediate retry; then the delay
 * doubles from 100 ms up to maximum. usec. */
static inline uint64_t hf_backoff_delay(unsigned failures, uint64_t maximum)
{
    if (failures <= 1)
        return 0;
    uint64_t delay = HF_BACKOFF_FIRST;
    for (unsigned n = 2; n < failures && delay < maximum; n++)
        if (__builtin_mul_overflow(delay, 2, &delay))
            return maximum;
    return delay < maximum ? delay : maximum;
}

/* Spreads a delay over its upper half, [delay/2, delay], so that a fleet does not move in step.
 * random: 64 random bits. */
static inline uint64_t hf_backoff_jitter(uint64_t delay, uint64_t random)
{
    return delay / 2 + random % (delay - delay / 2 + 1);
}
