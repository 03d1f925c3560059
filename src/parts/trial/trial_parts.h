/* SPDX-License-Identifier: MIT */
/* Shared by the files of this part: the canary on private sockets, and the warm-up. */
#pragma once

#include <systemd/sd-event.h>

#include "config/settings.h"
#include "kernel/priority.h"
#include "loop/reaper.h"
#include "parts/events/events.h"
#include "parts/probe/request.h"
#include "run/plan.h"
#include "run/runtime.h"
#include "run/supervisor.h"

/* Shared by the files of the warm-up. */

typedef struct HfWarmUp HfWarmUp;

typedef struct HfWarmed {
    HfWarmFigures figures;
    const char *report; /* a printable line */
} HfWarmed;

/* The warm-up has been freed; warmed is valid during the call. Called from the loop. */
typedef void (*HfWarmCallback)(const HfWarmed *warmed, void *userdata);

/* A cache whose scripts are listed in the previous generation and compiled in the next, by a pool
 * of ours in each. */
typedef struct HfWarmTarget {
    size_t before;    /* index of the pool in the previous generation's plan */
    size_t after;     /* in the next one's */
    char *file;       /* the script's path for us; NULL: not written */
    char *script;     /* its path for the pool */
    char *list;       /* scripts, one per line */
    const char *next; /* position in list, to be compiled */
    HfText again;     /* scripts that were too new */
} HfWarmTarget;

typedef struct HfWarmPage {
    char *uri;
    char *script; /* NULL: below the document root */
    char *host;   /* "Host: x", or NULL */
    bool head;
    bool secure;
    size_t pool; /* SIZE_MAX: every pool */
} HfWarmPage;

/* One request at a time. */
typedef struct HfWarmSlot {
    HfWarmUp *warm;
    HfRequest *request; /* NULL: idle */
    HfWarmTarget *target;
    size_t pool; /* of the previous generation */
    HfText body; /* scripts; those before done are finished */
    size_t done;
} HfWarmSlot;

typedef enum HfWarmPhase {
    HF_WARM_LIST,    /* lists the scripts in the previous generation's cache */
    HF_WARM_ASKED,   /* lists the pages last requested from it */
    HF_WARM_COMPILE, /* scripts */
    HF_WARM_WAIT,    /* until scripts are old enough, then compiles again */
    HF_WARM_PAGES,   /* requests */
    HF_WARM_COMMANDS,
    HF_WARM_OVER,
} HfWarmPhase;

/* One page at one listener, once per worker. */
typedef struct HfWarmVisit {
    bool active;
    bool counts;    /* there is a status page */
    bool known;     /* it has been read before */
    bool asked;     /* it is being read */
    uint64_t least; /* requests that each worker should have had */
    uint64_t left;  /* requests still to send */
    uint64_t more;  /* that may be added without a pause */
    size_t page;
    size_t listener;
} HfWarmVisit;

struct HfWarmUp {
    HfSupervisor *supervisor;
    const HfSettings *settings;
    const HfGeneration *before;
    const HfGeneration *generation;
    HfPriority *priority;
    int lowered; /* see hf_priority_lower */
    HfWarmTarget *targets;
    size_t n_targets;
    HfWarmPage *pages;
    size_t n_pages;
    size_t capacity;
    HfWarmSlot *slots;
    size_t n_slots;
    HfWarmPhase phase;
    size_t next; /* position of the phase */
    size_t running;
    unsigned rounds;
    HfWarmVisit visit;
    bool late;
    HfText why; /* the first failure */
    HfWarmFigures warmed;
    uint64_t began;
    sd_event_source *pump;
    sd_event_source *deadline;
    sd_event_source *pause;
    bool paused;
    uint64_t rest; /* usec, the next pause for a worker that has had nothing yet */
    HfWarmCallback callback;
    void *userdata;
};

/* Begins the phase's next request in an idle slot. Returns whether there was one. */
bool hf_warm_begin_recent(HfWarmSlot *slot);
bool hf_warm_begin_page(HfWarmSlot *slot);
bool hf_warm_begin_command(HfWarmSlot *slot);

/* Returns 0 or negative errno. */
int hf_warm_make_pages(HfWarmUp *warm);
/* Removes the scripts left by a holdfast that died while it warmed generation. */
void hf_warm_remove_scripts(const HfSupervisor *supervisor, const HfGeneration *generation);
/* Harmless when repeated. */
void hf_warm_clear_pages(HfWarmUp *warm);

/* Nothing is started before usec have passed; without a timer, at once. */
void hf_warm_pause(HfWarmUp *warm, uint64_t usec);
/* The slot has finished. */
void hf_warm_next(HfWarmSlot *slot);
/* Keeps the first reason. */
void hf_warm_excuse(HfWarmUp *warm, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the warm-up ---- */

/* Fills the caches of a ready generation that no client has reached yet. It never fails.
 */

/* Is there anything to do? */
bool hf_warm_has_work(const HfSettings *settings);

/* settings: those of the generation to warm; borrowed, like both generations. before: whose cache
 * is read; NULL: none. priority: the generation's, lowered here and restored at the end as far as
 * the kernel allows; otherwise the caller must restore it. Returns 0 or negative errno. */
int hf_warm_start(HfSupervisor *supervisor, const HfSettings *settings, const HfGeneration *before,
                  const HfGeneration *generation, HfPriority *priority, HfWarmCallback callback,
                  void *userdata, HfWarmUp **ret);
/* generation is about to be freed. */
void hf_warm_lose(HfWarmUp *warm, const HfGeneration *generation);
/* No callback; leaves the priority as it is. Accepts and returns NULL. */
HfWarmUp *hf_warm_abort(HfWarmUp *warm);

/* ---- the canary ---- */

/* Tests the next plan with a real generation on private sockets, which is asked and then ended
 * before it can replace another (--canary). */

typedef struct HfCanary HfCanary;

/* result 0: every listener gave a good answer. Otherwise negative errno, and error says what was
 * wrong and what the service printed. All processes have gone, and the canary has been freed. */
typedef void (*HfCanaryCallback)(int result, const char *error, void *userdata);

/* plan: bound; its listeners are not touched. settings->ready_timeout limits start and answers
 * together. Returns 0, or negative errno with one or more lines in error. */
int hf_canary_start(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime,
                    const HfSettings *settings, HfPlan *plan, HfCanaryCallback callback,
                    void *userdata, HfCanary **ret, HfText *error);
/* Kills it, without a callback. Accepts and returns NULL. */
HfCanary *hf_canary_abort(HfCanary *canary);
