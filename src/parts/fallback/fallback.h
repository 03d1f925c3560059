/* SPDX-License-Identifier: MIT */
/* The helper process that answers in an outage: 503 for FastCGI listeners, others by closing. Being
 * a separate process, it delays nobody else when accept(2) blocks after a lost race. */
#pragma once

#include "kernel/process.h"
#include "parts/fallback/fallback_loop.h"

/* Executes this program again as the answerer, with only the listeners and holdfast's output. On
 * SIGTERM, or when the calling process ends, it closes the listeners at once, finishes accepted
 * connections within limits.grace, and exits 0; the end of its copy of released_fd signals that the
 * listeners are closed. It has its own session. Returns 0 and the process, a child to be reaped, or
 * negative errno (-ENOENT without /proc). */
int hf_fallback_start(const HfFallbackRequest *request, HfProcess *ret);

/* The answerer: the whole program when argv[1] is HF_ANSWERER_OPTION. Returns the exit status. */
int hf_fallback_main(int argc, char **argv);
