/* SPDX-License-Identifier: MIT */
/* The limits of a machine out of two bytes. */
#pragma once

#include "fuzz.h"
#include "policy/machine.h"

static inline HfMachineLimits fuzz_limits(Input *input)
{
    unsigned shape = input_byte(input);
    unsigned switches = input_byte(input);

    return (HfMachineLimits){
        .ready_timeout = 60000000,
        .drain_timeout = 30000000,
        .term_timeout = 5000000,
        .kill_interval = 1000000,
        .backoff_max = UINT64_C(100000) << (shape >> 4),
        .stable_time = 10000000,
        .max_draining = shape % HF_MACHINE_DRAINING_MAX + 1,
        .gentle = switches & 1,
        .retires = switches & 1,
        .stop_delay = shape >> 4 & 1 ? 5000000 : 0,
        .exit_with_service = shape >> 6 & 1,
        .settle_time = 100000,
        .retire_time = 500000,
        .busy_after = switches & 2 ? 10000000 : HF_USEC_INFINITY,
        .probe_every = switches & 4 ? 5000000 : 0,
        .probe_failures = switches >> 4 & 3 ? switches >> 4 & 3 : 1,
        .probe_hung = switches >> 6 & 1,
        .probe_doublings = switches >> 7 & 1,
        .recycle_every = switches & 8 ? UINT64_C(1200000000) : 0,
    };
}
