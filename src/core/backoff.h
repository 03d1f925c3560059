/* The delay before the next start after failures in a row. */
#pragma once

#include <stdint.h>

/* failures: how many in a row, >= 1; the first retry is at once (0). Doubles from 100 ms up to maximum (usec). */
uint64_t hf_backoff_delay(unsigned failures, uint64_t maximum);
/* Spreads a delay over its upper half, so that a fleet does not move in step: result in [delay/2, delay]. */
uint64_t hf_backoff_jitter(uint64_t delay, uint64_t random);
