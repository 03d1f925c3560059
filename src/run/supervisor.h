/* SPDX-License-Identifier: MIT */
/* Owns the loop; only here is hf_machine_step called. Events are queued, never handled within an
 * action. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config/options.h"
#include "loop/reaper.h"
#include "policy/machine.h"
#include "run/generation.h"
#include "run/listener.h"
#include "run/part.h"
#include "run/plan.h"
#include "run/prepare.h"
#include "run/runtime.h"

#define HF_SUPERVISOR_EVENTS 1024 /* that can wait between two steps */

typedef struct HfInputs HfInputs;

typedef struct HfSupervisor {
    const HfCommandLine *line;  /* our own, borrowed */
    const HfSettings *settings; /* in force, from line or read; until the next COMMIT */
    HfCommandLine *read;        /* with the file as last read; NULL: line counts */
    HfCommandLine *next;        /* for the generation being prepared; NULL: as in force */
    HfCommandLine *before;      /* read, until the last COMMIT; NULL: line counted */
    bool knows_before;
    const char *name;           /* the instance's, borrowed */
    const HfPart *const *parts; /* NULL after the last */
    void *states[HF_PARTS_MAX];
    HfEventType first; /* START, or what a part has made of it */
    HfNotes notes;     /* of the previous holdfast */
    sd_event *loop;
    HfReaper *reaper;
    HfRuntime runtime;
    HfMachine machine;
    size_t first_event; /* in events */
    size_t n_events;
    sd_event_source *step; /* pending while events wait */
    sd_event_source *ending;
    unsigned n_ending;         /* parts that the end waits for */
    uint64_t steps;            /* of the machine, so far */
    uint64_t late_connections; /* carried over from a side without a generation */
    uint64_t held_until;       /* usec, CLOCK_MONOTONIC, until which new connections wait; after it
                                  they are answered; 0: they are served */
    HfGeneration *generations[HF_MACHINE_SLOTS];
    sd_event_source *timers[HF_TIMER_MAX_][HF_MACHINE_SLOTS];
    HfPlan *current; /* committed */
    HfPlan *prepared;
    HfPrepare *prepare;     /* in progress */
    HfListener **activated; /* from systemd */
    size_t n_activated;
    bool raised;     /* backlog */
    char *pid_file;  /* the user's, written by us; NULL: none */
    char *failure;   /* why the last replacement failed, for its callers */
    int status;      /* of the coming exit */
    char *unhealthy; /* what the last probe found wrong */
    HfInputs *inputs;
    bool taking_over; /* another server still has the sockets, and its pid file */
    bool shares;      /* the current request may take addresses over from another holdfast */
    /* last, since most of it is never touched */
    HfActions actions;                    /* of the step that runs */
    HfEvent events[HF_SUPERVISOR_EVENTS]; /* a ring */
} HfSupervisor;

/* Nothing remains of the service: closes the sockets, and posts ENDED once every part has ended. */
void hf_supervisor_end(HfSupervisor *supervisor, int status);
/* A part that the end waited for is done. */
void hf_supervisor_ended(HfSupervisor *supervisor);

/* The state of part, or NULL: missing in this build, or stateless. */
void *hf_supervisor_state(const HfSupervisor *supervisor, const HfPart *part);

/* Queues one event. Of READY, LEAVING and EXTEND only the last one per generation is kept. A full
 * queue asserts, but cannot happen: each dispatch of another source posts a bounded number, and
 * steps come before the next. */
void hf_supervisor_post(HfSupervisor *supervisor, const HfEvent *event);

/* Is the timer armed to elapse later than usec from now? */
bool hf_supervisor_waits_longer(const HfSupervisor *supervisor, HfTimer timer, unsigned slot,
                                uint64_t usec);

/* The active generation, or NULL. */
HfGeneration *hf_supervisor_active(const HfSupervisor *supervisor);

/* The generation whose main process is pid, or NULL. */
HfGeneration *hf_supervisor_find(const HfSupervisor *supervisor, pid_t pid);

/* Replaces the text that explains the last failure. NULL forgets it. */
void hf_supervisor_set_failure(HfSupervisor *supervisor, const char *text);
