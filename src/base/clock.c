/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <time.h>

#include "base/parse.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now = {0};

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * HF_USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

uint64_t hf_clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t hf_clock_realtime(void)
{
    return read_clock(CLOCK_REALTIME);
}
