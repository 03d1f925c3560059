/* SPDX-License-Identifier: MIT */
/* Processes that are to leave: found by what they are, signalled, watched by pidfd, ended. Few
 * descriptors are held, however many there are: a batch is watched, and when all of it have left
 * the next one is looked for.
 *
 * Who cannot be ended is named and left behind: another user's process, which may not be signalled,
 * when KILL would be its turn; one that is stuck in the kernel after HF_KILLS_MAX KILLs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/parse.h"
#include "base/text.h"
#include "kernel/members.h"

#define HF_TERM_TIMEOUT  (5 * HF_USEC_PER_SEC) /* from TERM to KILL */
#define HF_KILL_INTERVAL (1 * HF_USEC_PER_SEC)
#define HF_KILLS_MAX     10
#define HF_PROCESS_PACE                                                                            \
    (5 * HF_USEC_PER_MSEC) /* between two workers, so that load moves slowly                       \
                            */

typedef struct HfProcessSet HfProcessSet;

typedef struct HfProcessSetSpec {
    sd_event *loop;
    HfProcessMatch match;
    const void *wanted; /* borrowed */
    const char *who;    /* "generation 3"; copied */
    const char *told;   /* why these are ended, such as "left by a holdfast that died and": prefixes
                           the logged "... sent SIGTERM: sleep (12)"; static */
    /* What a process is sent in place of signal; 0: nothing. NULL: the signal. */
    int (*signal_for)(pid_t pid, int signal, void *userdata);
    /* Nobody is left but who cannot be ended. From the loop; may free the set. */
    void (*gone)(void *userdata);
    void *userdata;
    int *owed; /* where the signal is kept that not all could be sent yet, 0 else; NULL: nowhere */
} HfProcessSetSpec;

/* Nothing is looked at yet. Returns 0 or negative errno. */
int hf_process_set_new(const HfProcessSetSpec *spec, HfProcessSet **ret);
/* NULL is fine. Returns NULL. */
HfProcessSet *hf_process_set_free(HfProcessSet *set);

/* Has gone called once nobody is left. Harmless when repeated. */
void hf_process_set_await(HfProcessSet *set);
/* Sends signal to each, also to those that come to light later, and awaits them. Who cannot be
 * found is looked for again. Returns false when they are given up, as KILL did not help. */
bool hf_process_set_signal(HfProcessSet *set, int signal);
/* Sends signal to those that are there now, one each pace (usec), or closer, so that it takes at
 * most within; calls asked from the loop then (NULL: awaits them). */
void hf_process_set_ask(HfProcessSet *set, int signal, uint64_t pace, uint64_t within,
                        void (*asked)(void *userdata));
/* No further one is asked. Harmless when none is. */
void hf_process_set_ask_no_more(HfProcessSet *set);

typedef struct HfEscalation {
    int first;         /* signal */
    uint64_t patience; /* usec, until TERM, or after TERM KILL */
    uint64_t pace;     /* between two processes, of the first signal; 0: all at once */
    bool silent;       /* the first signal is not logged */
} HfEscalation;
/* Asks them harder and harder until they have left. */
void hf_process_set_end(HfProcessSet *set, const HfEscalation *escalation);
/* The next signal of that is sent now: whoever waits wants no more patience. */
void hf_process_set_hurry(HfProcessSet *set);

/* signal to process, one of them, failed with EPERM. Logged once each for KILL and the others. */
void hf_process_set_refused(HfProcessSet *set, pid_t pid, int signal);
/* Was one left behind that cannot be ended? */
bool hf_process_set_left_some(const HfProcessSet *set);

/* "sleep (123), php (124) and 2 more". Start with {0}. */
typedef struct HfProcessNames {
    HfText text;
    size_t n;
} HfProcessNames;
void hf_process_names_add(HfProcessNames *names, pid_t pid);
/* Borrowed, valid until names is used again. */
const char *hf_process_names_text(HfProcessNames *names);
void hf_process_names_clear(HfProcessNames *names);
#define HF_CLEANUP_NAMES __attribute__((cleanup(hf_process_names_clear)))
