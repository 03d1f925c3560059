/* SPDX-License-Identifier: MIT */
/* The helper process that answers in an outage: FastCGI listeners with 503, others by closing. In a
 * process of its own a lost race for accept(2) blocks nobody else. */
#pragma once

#include "kernel/process.h"
#include "parts/fallback/fallback_loop.h"

/* Executes this very program again as the answerer, with nothing but the listeners and holdfast's
 * output. On SIGTERM, or when the caller's process ends, it lets the listeners go at once, finishes
 * what it has accepted within limits.grace, and exits 0. Its copy of released_fd tells when the
 * listeners are let go. Its session is its own. Returns 0 and the
 * process, a child to be reaped, or negative errno (-ENOENT without /proc). */
int hf_fallback_start(const HfFallbackRequest *request, HfProcess *ret);

/* The other end: the whole program when argv[1] is HF_ANSWERER_OPTION. Returns the exit status. */
int hf_fallback_main(int argc, char **argv);
