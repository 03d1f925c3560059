/* SPDX-License-Identifier: MIT */
/* Between the files of warm-up. */
#pragma once

#include "kernel/priority.h"
#include "parts/events/events.h"
#include "parts/probe/request.h"
#include "run/supervisor.h"

typedef struct HfWarmUp HfWarmUp;

typedef struct HfWarmed {
    HfWarmFigures figures;
    const char *report; /* one printable line */
} HfWarmed;

/* It has been freed; warmed is valid during the call. Comes from the loop. */
typedef void (*HfWarmCallback)(const HfWarmed *warmed, void *userdata);

/* What is looked up in the cache of the generation before and compiled in the next one, by a pool
 * of ours in each. */
typedef struct HfWarmTarget {
    size_t before;    /* pool of the plan of the generation before */
    size_t after;     /* of the next one */
    char *file;       /* the script, as it is called here; NULL: is not there */
    char *script;     /* as the pool sees it */
    char *list;       /* scripts, a line each */
    const char *next; /* in list, to be compiled */
    HfText again;     /* scripts that were too new */
} HfWarmTarget;

typedef struct HfWarmPage {
    char *uri;
    char *script; /* NULL: below the document root */
    char *host;   /* "Host: x", or NULL */
    bool head;
    bool secure;
    size_t pool; /* SIZE_MAX: each */
} HfWarmPage;

/* One request at a time. */
typedef struct HfWarmSlot {
    HfWarmUp *warm;
    HfRequest *request; /* NULL: idle */
    HfWarmTarget *target;
    size_t pool; /* of the generation before */
    HfText body; /* scripts, of which those before done are done */
    size_t done;
} HfWarmSlot;

typedef enum HfWarmPhase {
    HF_WARM_LIST,    /* what the cache of the one before holds */
    HF_WARM_ASKED,   /* what it was asked for last */
    HF_WARM_COMPILE, /* scripts */
    HF_WARM_WAIT,    /* until scripts are old enough, then again */
    HF_WARM_PAGES,   /* requests */
    HF_WARM_COMMANDS,
    HF_WARM_OVER,
} HfWarmPhase;

/* One page at one listener, once for each worker. */
typedef struct HfWarmVisit {
    bool active;
    bool counts;    /* there is a scoreboard */
    bool known;     /* it was looked at before */
    bool asked;     /* it is being looked at */
    uint64_t least; /* requests that each worker is to have had */
    uint64_t left;  /* requests to be made */
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
    size_t next; /* of what the phase goes through */
    size_t running;
    unsigned rounds;
    HfWarmVisit visit;
    bool late;
    HfText why; /* the first thing that could not be done */
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

/* The next request of the phase, in an idle slot. Returns whether there was one. */
bool hf_warm_begin_list(HfWarmSlot *slot);
bool hf_warm_begin_batch(HfWarmSlot *slot);
bool hf_warm_begin_recent(HfWarmSlot *slot);
bool hf_warm_begin_page(HfWarmSlot *slot);
bool hf_warm_begin_command(HfWarmSlot *slot);

/* Returns 0 or negative errno. */
int hf_warm_make_targets(HfWarmUp *warm);
int hf_warm_make_pages(HfWarmUp *warm);
/* Removes the scripts that a holdfast left which died while it warmed generation. */
void hf_warm_remove_scripts(const HfSupervisor *supervisor, const HfGeneration *generation);
/* Harmless when repeated. */
void hf_warm_clear_targets(HfWarmUp *warm);
void hf_warm_clear_pages(HfWarmUp *warm);

/* Nothing is started before usec have passed; without a timer, at once. */
void hf_warm_pause(HfWarmUp *warm, uint64_t usec);
/* What the slot did is over. */
void hf_warm_next(HfWarmSlot *slot);
/* Remembers the first reason. */
void hf_warm_excuse(HfWarmUp *warm, const char *format, ...) __attribute__((format(printf, 2, 3)));
