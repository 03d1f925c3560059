/* The helper process that answers in an outage: FastCGI listeners with 503, others by closing. In a
 * process of its own a lost race for accept(2) blocks nobody else. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_fallback;

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/process.h"

#define HF_ANSWERER_OPTION        "--answer" /* of holdfast itself, for nobody else */
#define HF_ANSWERER_LISTENERS_MAX 1024
#define HF_ANSWERER_CONNECTIONS   256 /* at once; what comes beyond waits in the backlog */

typedef struct HfFallbackLimits {
    uint64_t connection; /* usec, from accept to close; 10 s */
    uint64_t grace;      /* usec, for what was accepted when it is told to stop; 1 s */
} HfFallbackLimits;

#define HF_ANSWERER_LIMITS                                                                         \
    ((HfFallbackLimits){.connection = 10 * HF_USEC_PER_SEC, .grace = 1 * HF_USEC_PER_SEC})

typedef struct HfFallbackRequest {
    const int *fds;      /* listeners; each only once */
    const bool *fastcgi; /* for each of them */
    size_t n;
    int released_fd; /* closed once the listeners are let go; -1: nobody waits for that */
    unsigned retry_after_seconds;
    HfFallbackLimits limits;
} HfFallbackRequest;

/* Executes this very program again as the answerer, with nothing but the listeners and holdfast's
 * output. On SIGTERM, or when the caller's process ends, it lets the listeners go at once, finishes
 * what it has accepted within limits.grace, and exits 0. Its copy of released_fd tells when the
 * listeners are let go. Its session is its own. Returns 0 and the
 * process, a child to be reaped, or negative errno (-ENOENT without /proc). */
int hf_fallback_start(const HfFallbackRequest *request, HfProcess *ret);

/* The other end: the whole program when argv[1] is HF_ANSWERER_OPTION. Returns the exit status. */
int hf_fallback_main(int argc, char **argv);
