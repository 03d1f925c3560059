/* The delay before the next start after failures in a row. */
#pragma once

#include <stdint.h>

/* failures: how many in a row; none and the first give 0, a retry at once, then it doubles from
 * 100 ms up to maximum. usec. */
uint64_t hf_backoff_delay(unsigned failures, uint64_t maximum);

/* Spreads a delay over its upper half, so that a fleet does not move in step: the result is in
 * [delay/2, delay]. random: any number, all 64 bits random. */
uint64_t hf_backoff_jitter(uint64_t delay, uint64_t random);
