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
    const char *told;   /* why these are ended, such as "left by a dead holdfast and": prefixes
                           the logged "... sent SIGTERM: sleep (12)"; static */
    /* The signal a process gets in place of signal; 0: none. NULL: signal. */
    int (*signal_for)(pid_t pid, int signal, void *userdata);
    /* Only processes that cannot be ended remain. Called from the loop; may free the set. */
    void (*gone)(void *userdata);
    void *userdata;
    int *owed; /* the signal that not all could be sent yet, else 0; NULL: not wanted */
} HfProcessSetSpec;

/* Examines nothing yet. Returns 0 or negative errno. */
int hf_process_set_new(const HfProcessSetSpec *spec, HfProcessSet **ret);
/* Accepts and returns NULL. */
HfProcessSet *hf_process_set_free(HfProcessSet *set);

/* Has gone called once all have left. Harmless when repeated. */
void hf_process_set_await(HfProcessSet *set);
/* Sends signal to all, including those that are found later, and awaits their end. If they cannot
 * be found now, looks again. Returns false when they are given up, as KILL did not help. */
bool hf_process_set_signal(HfProcessSet *set, int signal);
/* Sends signal to those present now, one per pace (usec), or faster to take at most within; then
 * calls asked from the loop (NULL: awaits their end). */
void hf_process_set_ask(HfProcessSet *set, int signal, uint64_t pace, uint64_t within,
                        void (*asked)(void *userdata));
/* Stops asking. Harmless when not asking. */
void hf_process_set_ask_no_more(HfProcessSet *set);

typedef struct HfEscalation {
    int first;         /* the first signal */
    uint64_t patience; /* usec from the first signal to TERM, or from TERM to KILL */
    uint64_t pace;     /* between two processes, for the first signal; 0: all at once */
    bool silent;       /* the first signal is not logged */
} HfEscalation;
/* Escalates until they have left. */
void hf_process_set_end(HfProcessSet *set, const HfEscalation *escalation);
/* Escalates to the next signal now, when a user does not want to wait. */
void hf_process_set_escalate(HfProcessSet *set);

/* Records that signal failed with EPERM for pid, one of them. Logged once for KILL and once for the
 * others. */
void hf_process_set_refused(HfProcessSet *set, pid_t pid, int signal);
/* Is there one that cannot be ended? */
bool hf_process_set_left_some(const HfProcessSet *set);

/* A list such as "sleep (123), php (124) and 2 more". Start with {0}. */
typedef struct HfProcessNames {
    HfText text;
    size_t n;
} HfProcessNames;
void hf_process_names_add(HfProcessNames *names, pid_t pid);
/* Borrowed, valid until names is used again. */
const char *hf_process_names_text(HfProcessNames *names);
void hf_process_names_clear(HfProcessNames *names);
#define HF_CLEANUP_NAMES __attribute__((cleanup(hf_process_names_clear)))
