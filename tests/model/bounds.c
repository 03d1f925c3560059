#include "bounds.h"

#define SECOND 1000000

#define LIMITS(backoff, draining, ...)                                                             \
    {                                                                                              \
        .ready_timeout = 60 * SECOND, .drain_timeout = 30 * SECOND, .term_timeout = 5 * SECOND,    \
        .kill_interval = SECOND, .backoff_max = (backoff), .stable_time = 10 * SECOND,             \
        .settle_time = 100000, .retire_time = 500000, .max_draining = (draining), __VA_ARGS__      \
    }
#define PATIENT .busy_after = HF_USEC_INFINITY
#define BLIND   .probe_failures = 1
#define GENTLE  .gentle = true, .retires = true
#define OUTAGE  .busy_after = 10 * SECOND
#define PROBES(failures, hung, doublings)                                                          \
    .probe_every = 5 * SECOND, .probe_failures = (failures), .probe_hung = (hung),                 \
    .probe_doublings = (doublings)
#define RECYCLE .recycle_every = 1200ULL * SECOND

static const Bounds wide[] = {
    [BOUNDS_CALLERS] = {.name = "callers",
                        .limits = LIMITS(100000, 1, PATIENT, BLIND),
                        .occupied = 3,
                        .requests = 2},
    [BOUNDS_PROCESSES] = {.name = "processes",
                          .limits = LIMITS(200000, 2, PATIENT, BLIND),
                          .occupied = 3,
                          .leave = true},
    [BOUNDS_FULL] = {.name = "full slots",
                     .limits = LIMITS(100000, HF_MACHINE_DRAINING_MAX, PATIENT, BLIND, GENTLE),
                     .occupied = HF_MACHINE_SLOTS,
                     .stubborn = true},
    [BOUNDS_GENTLE] = {.name = "gentle",
                       .limits = LIMITS(100000, 2, PATIENT, BLIND, GENTLE),
                       .occupied = 4},
    [BOUNDS_EXTEND] = {.name = "extensions",
                       .limits = LIMITS(100000, 1, PATIENT, BLIND),
                       .occupied = 2,
                       .extend = true,
                       .leave = true},
    [BOUNDS_OUTAGE] = {.name = "outage",
                       .limits = LIMITS(100000, 1, OUTAGE, BLIND),
                       .occupied = 3,
                       .requests = 1},
    [BOUNDS_HEALTH] = {.name = "health",
                       .limits = LIMITS(100000, 1, PATIENT, PROBES(1, 1, 0), RECYCLE),
                       .occupied = 3,
                       .requests = 1},
    [BOUNDS_DOUBTS] = {.name = "doubts",
                       .limits = LIMITS(100000, 1, PATIENT, PROBES(2, 1, 1)),
                       .occupied = 2},
    [BOUNDS_ALL] = {.name = "all together",
                    .limits = LIMITS(100000, 2, GENTLE, OUTAGE, PROBES(1, 0, 0), RECYCLE),
                    .occupied = 3},
    [BOUNDS_DEATH] = {.name = "death",
                      .limits = LIMITS(100000, 1, GENTLE, OUTAGE, PROBES(1, 0, 0), RECYCLE),
                      .occupied = 2,
                      .mortal = true},
    [BOUNDS_UPGRADE] = {.name = "upgrade",
                        .limits = LIMITS(100000, 1, PATIENT, BLIND),
                        .occupied = 2,
                        .requests = 1,
                        .upgrades = true},
    [BOUNDS_STOPS] = {.name = "stops",
                      .limits = LIMITS(100000, 1, PATIENT, BLIND, .stop_delay = 20 * SECOND,
                                       .exit_with_service = true),
                      .occupied = 2,
                      .requests = 1,
                      .leave = true,
                      .takeover = true,
                      .stops = true},
    [BOUNDS_QUEUE] = {.name = "queue",
                      .limits = LIMITS(100000, 2, PATIENT, BLIND, GENTLE),
                      .occupied = 3,
                      .takeover = true,
                      .stops = true},
};
static const Bounds narrow_ones[] = {
    [BOUNDS_CALLERS] = {.name = "callers, narrow",
                        .limits = LIMITS(100000, 1, PATIENT, BLIND),
                        .occupied = 3,
                        .requests = 1},
    [BOUNDS_PROCESSES] = {.name = "processes, narrow",
                          .limits = LIMITS(100000, 2, PATIENT, BLIND),
                          .occupied = 3,
                          .leave = true},
    [BOUNDS_FULL] = {.name = "full slots, narrow",
                     .limits = LIMITS(100000, 2, PATIENT, BLIND),
                     .occupied = HF_MACHINE_SLOTS - 2,
                     .stubborn = true},
    [BOUNDS_GENTLE] = {.name = "gentle, narrow",
                       .limits = LIMITS(100000, 2, PATIENT, BLIND, GENTLE),
                       .occupied = 3},
    [BOUNDS_EXTEND] = {.name = "extensions, narrow",
                       .limits = LIMITS(100000, 1, PATIENT, BLIND),
                       .occupied = 2,
                       .extend = true,
                       .leave = true},
    [BOUNDS_OUTAGE] = {.name = "outage, narrow",
                       .limits = LIMITS(100000, 1, OUTAGE, BLIND),
                       .occupied = 2},
    [BOUNDS_HEALTH] = {.name = "health, narrow",
                       .limits = LIMITS(100000, 1, PATIENT, PROBES(2, 1, 0), RECYCLE),
                       .occupied = 3},
    [BOUNDS_DOUBTS] = {.name = "doubts, narrow",
                       .limits = LIMITS(100000, 1, PATIENT, PROBES(2, 1, 1)),
                       .occupied = 2},
    [BOUNDS_ALL] = {.name = "all together, narrow",
                    .limits = LIMITS(100000, 1, GENTLE, OUTAGE, PROBES(1, 0, 0), RECYCLE),
                    .occupied = 2},
    [BOUNDS_DEATH] = {.name = "death, narrow",
                      .limits = LIMITS(100000, 1, GENTLE, OUTAGE, PROBES(1, 0, 0), RECYCLE),
                      .occupied = 2,
                      .mortal = true},
    [BOUNDS_UPGRADE] = {.name = "upgrade, narrow",
                        .limits = LIMITS(100000, 1, PATIENT, BLIND),
                        .occupied = 2,
                        .requests = 1,
                        .upgrades = true},
    [BOUNDS_STOPS] = {.name = "stops, narrow",
                      .limits = LIMITS(100000, 1, PATIENT, BLIND, .stop_delay = 20 * SECOND,
                                       .exit_with_service = true),
                      .occupied = 2,
                      .requests = 1,
                      .leave = true,
                      .takeover = true,
                      .stops = true},
    [BOUNDS_QUEUE] = {.name = "queue, narrow",
                      .limits = LIMITS(100000, 2, PATIENT, BLIND, GENTLE),
                      .occupied = 2,
                      .takeover = true,
                      .stops = true},
};
_Static_assert(sizeof(wide) / sizeof(*wide) == BOUNDS_MAX_, "each kind");
_Static_assert(sizeof(narrow_ones) / sizeof(*narrow_ones) == BOUNDS_MAX_, "each kind");

const Bounds *bounds_get(BoundsKind kind, bool narrow)
{
    return narrow ? &narrow_ones[kind] : &wide[kind];
}
