/* SPDX-License-Identifier: MIT */
/* The abstract environment of the machine: what exists outside it, which events it may produce now,
 * and what the actions do to it. It keeps its own books, so that the machine's can be checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/machine.h"
#include "rules.h"

#define WORLD_REQUESTS   3
#define WORLD_EVENTS_MAX 128
/* how processes end here */
#define WORLD_STATUS_EXITED    3
#define WORLD_STATUS_GONE      4
#define WORLD_STATUS_NOT_FOUND 127

typedef enum WorldProcess {
    WORLD_PROCESS_NONE,
    WORLD_PROCESS_UNKNOWN, /* SPAWN was done; whether it worked shows in the next event of the slot
                            */
    WORLD_PROCESS_RUNNING,
    WORLD_PROCESS_EXITED, /* the main process; others may remain */
    WORLD_PROCESS_MAX_,
} WorldProcess;

typedef struct WorldSlot {
    WorldProcess process;
    bool occupied; /* from SPAWN to FORGET */
    bool ready;    /* READY was delivered while it was starting */
    bool serves;   /* was said to be active, and is not asked for anything */
    bool parked;   /* was said to be */
    bool tried;    /* TRIAL is under way */
    bool watched;  /* WATCH_SIDE is */
    bool given_up; /* by another program */
    unsigned side;
    bool armed;        /* DEADLINE */
    bool stopped;      /* its main process, by SIGSTOP */
    HfStage asked;     /* the hardest signal so far */
    unsigned extended; /* deadlines */
    uint64_t number;
} WorldSlot;

typedef struct WorldRequest {
    uint64_t id; /* 0: free */
    HfRequestKind kind;
    bool running; /* the replacement that runs is theirs */
} WorldRequest;

typedef struct World {
    WorldSlot slots[HF_MACHINE_SLOTS];
    WorldRequest requests[WORLD_REQUESTS]; /* without an answer */
    bool armed[HF_TIMER_MAX_];             /* those that belong to no slot */
    bool started;
    bool preparing;
    bool prepared;
    bool planned;
    bool switches;      /* what was planned may start beside who serves on its own side */
    bool switches_next; /* what was prepared may */
    unsigned side;
    bool committed; /* in this step */
    bool raised;
    bool outage;            /* was reported */
    bool answering;         /* the fallback runs */
    bool probing;           /* PROBE of the active generation is under way */
    HfVerdict probed;       /* what the last one found */
    unsigned misses;        /* how many in a row found that */
    unsigned probe_backoff; /* replacements in a row that did not help */
    bool stopping;
    bool executing; /* UPGRADE was done, and nothing has been heard of it */
    bool testing;   /* TEST_UPGRADE was done, and the new program does not run yet */
    bool watching;  /* who waits in a queue */
    bool ending;    /* END was done, and ENDED is awaited */
    bool ended;
    uint64_t last_number;
} World;

/* How far one exploration goes. */
typedef struct Bounds {
    const char *name;
    HfMachineLimits limits;
    unsigned occupied; /* slots in use at the same time */
    unsigned requests; /* callers that wait at the same time, up to WORLD_REQUESTS */
    bool extend;       /* generations ask for more time */
    bool leave;        /* active generations leave by themselves */
    bool mortal;       /* holdfast may die, and go on from its snapshot */
    bool upgrades;     /* its program may be replaced */
    bool switches;     /* plans that are prepared have two sides */
    bool mixed;        /* or not */
    bool takeover;     /* from another server, by the first start */
    bool stops;        /* nothing happens by itself while a stop waits, or it is the subject here */
    bool stubborn;     /* starts leave nothing behind when they fail; who is asked to leave waits
                          for KILL; deadlines pass and processes leave in the order of age */
} Bounds;

/* The events that may come now; returns how many. */
size_t world_events(const World *world, const Bounds *bounds, HfEvent ret[WORLD_EVENTS_MAX]);
/* Events that come too late or for nothing: the machine must not care. */
size_t world_stray_events(const World *world, HfEvent ret[WORLD_EVENTS_MAX]);

/* The environment's side of an event, before the machine hears of it. */
void world_event(World *world, const HfEvent *event);
/* Performs one action that answers event. Returns the rule that it breaks, or RULE_NONE. */
Rule world_action(World *world, const HfEvent *event, const HfAction *action);

static inline bool world_slot_starting(const WorldSlot *slot)
{
    return slot->occupied && !slot->ready && slot->asked == HF_STAGE_EMPTY;
}

static inline bool world_slot_active(const WorldSlot *slot)
{
    return slot->occupied && slot->serves && slot->asked == HF_STAGE_EMPTY;
}

/* With its main process. */
static inline bool world_slot_whole(const WorldSlot *slot)
{
    return world_slot_active(slot) && slot->process != WORLD_PROCESS_EXITED;
}

/* Ready, and nobody comes to it yet. */
static inline bool world_slot_trying(const WorldSlot *slot)
{
    return slot->occupied && slot->ready && !slot->serves && !slot->parked &&
           slot->asked == HF_STAGE_EMPTY;
}

static inline bool world_slot_new(const WorldSlot *slot)
{
    return world_slot_starting(slot) || world_slot_trying(slot);
}

static inline bool world_slot_parked(const WorldSlot *slot)
{
    return slot->occupied && slot->parked && slot->asked == HF_STAGE_EMPTY;
}

static inline bool world_slot_draining(const WorldSlot *slot)
{
    return slot->occupied && slot->asked != HF_STAGE_EMPTY;
}

/* As many misses of that kind replace the active generation after as many probe_backoff; 0: however
 * many, none does. */
unsigned world_patience(const HfMachineLimits *limits, unsigned probe_backoff, HfVerdict verdict);
/* Started, wanted, and without an active generation. */
bool world_gap(const World *world);
unsigned world_occupied(const World *world);
