/* SPDX-License-Identifier: MIT */
/* The answerer's loop, in its own process. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/parse.h"
#include "kernel/process.h"

#define HF_ANSWERER_OPTION "--answer" /* for internal use only */

#define HF_ANSWERER_LISTENERS_MAX 1024
#define HF_ANSWERER_CONNECTIONS   256 /* at once; more wait in the backlog */

typedef struct HfFallbackLimits {
    uint64_t connection; /* usec, from accept to close; 10 s */
    uint64_t grace;      /* usec for accepted connections when it has to stop; 1 s */
} HfFallbackLimits;

#define HF_ANSWERER_LIMITS                                                                         \
    ((HfFallbackLimits){.connection = 10 * HF_USEC_PER_SEC, .grace = 1 * HF_USEC_PER_SEC})

typedef struct HfFallbackRequest {
    const int *fds;      /* listeners, each once */
    const bool *fastcgi; /* for each of them */
    size_t n;
    int released_fd; /* closed once the listeners are; -1: nobody waits for that */
    unsigned retry_after_seconds;
    HfFallbackLimits limits;
} HfFallbackRequest;

/* Accepts one connection. The listener is blocking and must stay so, as its flags are shared with
 * the service; another holder may be faster between poll(2) and accept(2). Call hf_fallback_alarm,
 * which returns 0 or negative errno, first. Returns the descriptor, non-blocking, or negative
 * errno, -EINTR for a lost race. */
int hf_fallback_accept(int listener);
int hf_fallback_alarm(void);

/* Accepts until stop_fd is readable, then closes the listeners and finishes; on failure they are
 * closed with the process. Returns 0 or negative errno. */
int hf_fallback_serve(const HfFallbackRequest *request, int stop_fd);

/* Executes this program with argv as a helper with fds from descriptor 3 on, and without our
 * environment and terminal. Returns 0 and the process, or negative errno. */
int hf_helper_spawn(char **argv, const int *fds, size_t n, HfProcess *ret);
/* Waits for events of fd, msec at most. Returns whether there are any, or it failed. */
bool hf_fallback_wait(int fd, short events, int msec);
/* Waits for the end of a helper that was told to stop, 3 s at most, and clears it. Harmless for
 * HF_PROCESS_NONE. */
void hf_helper_await(HfProcess *process);

/* Every helper calls this first: it becomes nobody with only these capabilities (1 << number), and
 * ends with its parent. Returns 0 and a descriptor that is readable once it must stop, -ESRCH: the
 * parent has already ended, or negative errno. */
int hf_helper_begin(pid_t parent, uint64_t capabilities, int *ret_stop_fd);
