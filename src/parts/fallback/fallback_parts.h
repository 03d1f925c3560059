/* SPDX-License-Identifier: MIT */
/* Shared by the files of this part: helper processes that answer and carry connections. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/parse.h"
#include "format/address.h"
#include "kernel/process.h"
#include "run/supervisor.h"

/* ---- the answerer's loop, in its own process ---- */

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

/* ---- common to all helpers ---- */

/* Waits for events of fd, msec at most. Returns whether there are any, or it failed. */
bool hf_fallback_wait(int fd, short events, int msec);
/* Waits for the end of a helper that was told to stop, 3 s at most, and clears it. Harmless for
 * HF_PROCESS_NONE. */
void hf_helper_await(HfProcess *process);

/* Every helper calls this first: it becomes nobody with only these capabilities (1 << number), and
 * ends with its parent. Returns 0 and a descriptor that is readable once it must stop, -ESRCH: the
 * parent has already ended, or negative errno. */
int hf_helper_begin(pid_t parent, uint64_t capabilities, int *ret_stop_fd);

/* ---- the carrier ---- */

#define HF_CARRIER_LISTENERS 128

/* Carries connections over that arrive on a side after its generation has left, because their
 * handshakes began before a switch, and those that were held. A helper process relays them to the
 * current side, so that slow ones delay nothing else. */

#define HF_CARRIER_WORD    "carry" /* first word after HF_ANSWERER_OPTION */
#define HF_CARRIER_TARGETS 4       /* index of the first listener's target among the words */

typedef struct HfCarrier HfCarrier;

/* held: those that were held, in place of late ones. Returns 0 or -ENOMEM. */
int hf_carrier_new(HfSupervisor *supervisor, bool held, HfCarrier **ret);
/* After each step: watches the sides without a generation, and lets go of those that have one
 * again. */
void hf_carrier_look(HfCarrier *carrier);
/* Watches no side any more; the helper finishes its connections. */
void hf_carrier_stop(HfCarrier *carrier);
/* Returns NULL. */
HfCarrier *hf_carrier_free(HfCarrier *carrier);

/* Runs the helper: argv is that of HF_ANSWERER_OPTION, listeners are open from descriptor 3 on,
 * followed by a pipe that gets a byte per connection. Returns the exit status. */
int hf_carrier_main(int argc, char **argv);

/* ---- the answerer ---- */

/* The helper process that answers in an outage: 503 for FastCGI listeners, others by closing. Being
 * a separate process, it delays nobody else when accept(2) blocks after a lost race. */

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
