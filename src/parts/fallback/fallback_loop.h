/* SPDX-License-Identifier: MIT */
/* The answerer at work, in its process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/parse.h"
#include "kernel/process.h"

#define HF_ANSWERER_OPTION "--answer" /* of holdfast itself, for nobody else */

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

/* The listener blocks, and has to: its flags are the service's, too. Whoever else holds it may be
 * faster than we are between poll and accept. Returns the descriptor, non-blocking, or negative
 * errno, -EINTR for a lost race, after hf_fallback_alarm, which returns 0 or negative errno. */
int hf_fallback_accept(int listener);
int hf_fallback_alarm(void);

/* Accepts until stop_fd is readable, then finishes. The listeners are closed then, or on failure by
 * the end of the process. Returns 0 or negative errno. */
int hf_fallback_serve(const HfFallbackRequest *request, int stop_fd);

/* Executes this program with argv as a helper, its fds from descriptor 3 on; nothing of our
 * environment and terminal reaches it. Returns 0 and the process, or negative errno. */
int hf_helper_spawn(char **argv, const int *fds, size_t n, HfProcess *ret);

/* What each helper begins with: it is nobody with those capabilities (1 << number), and ends with
 * its parent. Returns 0 and a descriptor that is readable once it is to stop, -ESRCH: the parent
 * has ended already, or negative errno. */
int hf_helper_begin(pid_t parent, uint64_t capabilities, int *ret_stop_fd);
