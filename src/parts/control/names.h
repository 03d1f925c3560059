/* SPDX-License-Identifier: MIT */
/* Names used at both ends of the control socket. holdfast-control(7). */
#pragma once

#define HF_CONTROL_PATH      "/org/holdfast/Control1"
#define HF_CONTROL_INTERFACE "org.holdfast.Control1"

/* The method failed, for the reason in the message. */
#define HF_CONTROL_FAILED   "org.holdfast.Error.Failed"
#define HF_CONTROL_STOPPING "org.holdfast.Error.Stopping"
#define HF_CONTROL_BUSY     "org.holdfast.Error.Busy"

/* Members of the structures in lists, in order; holdfast-control(7) documents them. */
#define HF_CONTROL_GENERATION                                                                      \
    "(tsssutttuts)" /* number, state, stage, cause, pid, started, ready,                           \
                       age, processes, memory, status */
#define HF_CONTROL_LISTENER                                                                        \
    "(sssuuuxuus)" /* name, address, kind, depth, limit, highest, drops, standby's depth and       \
                      limit, why it has none */
#define HF_CONTROL_POOL                                                                            \
    "(sxxxxxxxxxs)" /* name; workers: active, idle, all, most; queue, accepted, max_children       \
                       reached, slow, memory's peak; why they are not known */
#define HF_CONTROL_CACHE                                                                           \
    "(xxxxxxxxxs)" /* scripts, keys, keys' limit, hits, misses, used, free, wasted, full restarts; \
                      why they are not known */
#define HF_CONTROL_EVENT "(stsst)" /* name, generation, cause, text, usec */
#define HF_CONTROL_PAST                                                                            \
    "(tstttttusttttt)" /* number, cause, started, ready, ended, ready after, lifetime, processes,  \
                          end; of its warm-up: scripts listed and warmed, requests, failures,      \
                          time */
#define HF_CONTROL_GENERATIONS "a" HF_CONTROL_GENERATION
#define HF_CONTROL_LISTENERS   "a" HF_CONTROL_LISTENER
#define HF_CONTROL_POOLS       "a" HF_CONTROL_POOL
#define HF_CONTROL_CACHES      "a" HF_CONTROL_CACHE
#define HF_CONTROL_EVENTS      "a" HF_CONTROL_EVENT
#define HF_CONTROL_HISTORY     "a" HF_CONTROL_PAST
