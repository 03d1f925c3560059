/* SPDX-License-Identifier: MIT */
/* The time now, in usec. clock_gettime(2). */
#pragma once

#include <stdint.h>

/* Time since boot, without the time asleep: for durations. */
uint64_t hf_clock_monotonic(void);

/* Time since 1970: for people. It may jump. */
uint64_t hf_clock_realtime(void);
