/* SPDX-License-Identifier: MIT */
/* The helper process that answers in an outage: 503 for FastCGI listeners, others by closing. Being
 * a separate process, it delays nobody else when accept(2) blocks after a lost race. */
#pragma once

#include "kernel/process.h"
#include "parts/fallback/fallback_loop.h"
#include "run/supervisor.h"

/* Executes this program again as the answerer, with only the listeners and holdfast's output. On
 * SIGTERM, or when the calling process ends, it closes the listeners at once, finishes accepted
 * connections within limits.grace, and exits 0; the end of its copy of released_fd signals that the
 * listeners are closed. It has its own session. Returns 0 and the process, a child to be reaped, or
 * negative errno (-ENOENT without /proc). */
int hf_fallback_start(const HfFallbackRequest *request, HfProcess *ret);

/* The answerer: the whole program when argv[1] is HF_ANSWERER_OPTION. Returns the exit status. */
int hf_fallback_main(int argc, char **argv);

/* One that runs at times. */
typedef struct HfAnswerer {
    HfSupervisor *supervisor;
    bool held; /* it has the sides of connections that are held, else all others */
    void (*gone)(void *userdata); /* it has ended unasked, or cannot begin */
    void *userdata;
    HfProcess process;
    HfProcess dismissed; /* the last one that was told to stop: it ends what it has begun */
    int released;        /* hangs up when it has let the listeners go; -1 without one */
} HfAnswerer;

/* With the listeners of the current plan. None of them: nothing is done. */
void hf_answerer_begin(HfAnswerer *answerer);
/* On return it has let the listeners go. Harmless when repeated. */
void hf_answerer_end(HfAnswerer *answerer);
/* Waits for what it has begun, for a moment. */
void hf_answerer_free(HfAnswerer *answerer);
