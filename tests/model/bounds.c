#include "bounds.h"

#define LIMITS(backoff, draining)                                                                  \
    {                                                                                              \
        .ready_timeout = 60000000, .drain_timeout = 30000000, .term_timeout = 5000000,             \
        .kill_interval = 1000000, .backoff_max = (backoff), .stable_time = 10000000,               \
        .max_draining = (draining)                                                                 \
    }

static const Bounds wide[] = {
    [BOUNDS_CALLERS] = {.name = "callers",
                        .limits = LIMITS(100000, 1),
                        .occupied = 3,
                        .requests = 2},
    [BOUNDS_PROCESSES] = {.name = "processes", .limits = LIMITS(200000, 2), .occupied = 4},
    [BOUNDS_FULL] = {.name = "full slots",
                     .limits = LIMITS(200000, HF_MACHINE_DRAINING_MAX),
                     .occupied = HF_MACHINE_SLOTS,
                     .stubborn = true},
};
static const Bounds narrow_ones[] = {
    [BOUNDS_CALLERS] = {.name = "callers, narrow",
                        .limits = LIMITS(100000, 1),
                        .occupied = 3,
                        .requests = 1},
    [BOUNDS_PROCESSES] = {.name = "processes, narrow", .limits = LIMITS(100000, 2), .occupied = 3},
    [BOUNDS_FULL] = {.name = "full slots, narrow",
                     .limits = LIMITS(100000, 2),
                     .occupied = HF_MACHINE_SLOTS - 2,
                     .stubborn = true},
};
_Static_assert(sizeof(wide) / sizeof(*wide) == BOUNDS_MAX_, "each kind");
_Static_assert(sizeof(narrow_ones) / sizeof(*narrow_ones) == BOUNDS_MAX_, "each kind");

const Bounds *bounds_get(BoundsKind kind, bool narrow)
{
    return narrow ? &narrow_ones[kind] : &wide[kind];
}
