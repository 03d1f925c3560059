/* SPDX-License-Identifier: MIT */
/* Owns the loop; the only caller of hf_machine_step. Events are queued, never handled from within
 * an action. */
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

typedef struct HfFinalKill HfFinalKill;
typedef struct HfInputs HfInputs;

typedef struct HfSupervisor {
    const HfCommandLine *line;  /* that it was started with, borrowed */
    const HfSettings *settings; /* in force: of line, or of read; until the next COMMIT */
    HfCommandLine *read;        /* with the file as it was last; NULL: nothing else than line */
    HfCommandLine *next;        /* of the generation that is being prepared; NULL: as in force */
    const char *name;           /* of the instance, borrowed */
    const HfPart *const *parts; /* NULL after the last */
    void *states[HF_PARTS_MAX];
    HfEventType first; /* START, or what a part made of it */
    HfNotes notes;     /* of the holdfast before this one */
    sd_event *loop;
    HfReaper *reaper;
    HfRuntime runtime;
    HfMachine machine;
    size_t first_event; /* in events */
    size_t n_events;
    sd_event_source *step; /* pending while events wait */
    sd_event_source *ending;
    unsigned n_ending;         /* that are waited for */
    uint64_t steps;            /* of the machine, so far */
    uint64_t late_connections; /* that were carried over from a side that nobody serves */
    HfGeneration *generations[HF_MACHINE_SLOTS];
    sd_event_source *timers[HF_TIMER_MAX_][HF_MACHINE_SLOTS];
    HfPlan *current; /* committed */
    HfPlan *prepared;
    HfPrepare *prepare;     /* running */
    HfListener **activated; /* from systemd */
    size_t n_activated;
    bool raised;             /* backlog */
    char *pid_file;          /* the user's, that we wrote; NULL: none */
    char *failure;           /* why the last replacement failed, for those who asked for it */
    int status;              /* of the exit that is on its way */
    HfFinalKill *final_kill; /* NULL until the end */
    char *unhealthy;         /* what the last probe found wrong */
    HfInputs *inputs;
    bool taking_over; /* another server has the sockets as well, and its pid file */
    bool shares;      /* what is asked for may take addresses over from another holdfast */
    /* last, as most of it is never touched */
    HfActions actions;                    /* of the step that runs */
    HfEvent events[HF_SUPERVISOR_EVENTS]; /* a ring */
} HfSupervisor;

/* Nothing of the service is left: lets the sockets go, and posts ENDED once every part has ended.
 */
void hf_supervisor_end(HfSupervisor *supervisor, int status);
/* A part that the end waited for has done what it had to. */
void hf_supervisor_ended(HfSupervisor *supervisor);

/* The state of part, or NULL: it is not in this build, or has none. */
void *hf_supervisor_state(const HfSupervisor *supervisor, const HfPart *part);

/* Queues one event. READY, LEAVING and EXTEND of a generation wait once, the last one counts. A
 * full queue asserts and cannot happen: what one dispatch of any other source posts is bounded, and
 * steps come before the next. */
void hf_supervisor_post(HfSupervisor *supervisor, const HfEvent *event);

/* A probe of the generation in slot has ended. text: on what is wrong, "" when nothing is. */
void hf_supervisor_probed(HfSupervisor *supervisor, unsigned slot, HfVerdict verdict,
                          const char *text);

/* The trial of the generation in slot has ended. */
void hf_supervisor_tried(HfSupervisor *supervisor, unsigned slot, bool passed);

/* The timer is armed, and elapses later than usec from now. */
bool hf_supervisor_waits_longer(const HfSupervisor *supervisor, HfTimer timer, unsigned slot,
                                uint64_t usec);

/* The active generation, or NULL. */
HfGeneration *hf_supervisor_active(const HfSupervisor *supervisor);

/* The generation whose main process is pid, or NULL. */
HfGeneration *hf_supervisor_find(const HfSupervisor *supervisor, pid_t pid);

/* Replaces the text that explains the last failure. NULL forgets it. */
void hf_supervisor_set_failure(HfSupervisor *supervisor, const char *text);
