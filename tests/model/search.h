/* Breadth first through every event in every reachable state. */
#pragma once

#include <stdio.h>

#include "canonical.h"
#include "fair.h"
#include "invariants.h"

typedef void (*StepFunction)(HfMachine *machine, const HfEvent *event, HfActions *ret);

/* The kinds of events as the table shows them: timers and requests apart. */
typedef enum Column {
    COLUMN_START,
    COLUMN_PREPARED,
    COLUMN_PREPARE_FAILED,
    COLUMN_SPAWN_FAILED,
    COLUMN_READY,
    COLUMN_MAIN_EXITED,
    COLUMN_GONE,
    COLUMN_DEADLINE,
    COLUMN_RESPAWN,
    COLUMN_STABLE,
    COLUMN_BUSY,
    COLUMN_PROBE,
    COLUMN_RECYCLE,
    COLUMN_STOP_WAIT,
    COLUMN_QUEUE_SERVED,
    COLUMN_ENDED,
    COLUMN_RELOAD,
    COLUMN_RESTART,
    COLUMN_STOP,
    COLUMN_UPGRADE,
    COLUMN_STOP_SIGNAL,
    COLUMN_REOPEN,
    COLUMN_RETIRED,
    COLUMN_EXTEND,
    COLUMN_FALLBACK_GONE,
    COLUMN_PROBED,
    COLUMN_OVERSIZE,
    COLUMN_LEAVING,
    COLUMN_UPGRADE_TESTED,
    COLUMN_UPGRADE_FAILED,
    COLUMN_RESUME,
    COLUMN_ADOPT,
    COLUMN_MAX_,
} Column;

#define SEARCH_NOWHERE UINT32_MAX

typedef struct SearchState {
    Key key;
    uint32_t parent;
    uint16_t via;                 /* the event that led here */
    uint16_t fair_via[FAIR_MAX_]; /* the event that a fair world chooses */
    uint32_t fair_to[FAIR_MAX_];  /* and where it leads */
} SearchState;

typedef struct Search {
    const Bounds *bounds;
    StepFunction step;
    unsigned failures;
    SearchState *states;
    size_t n;
    size_t capacity;
    uint32_t *table;
    size_t table_size;
    size_t edges;
    size_t pruned; /* edges that lead out of the bounds */
    size_t actions_max;
    double seconds;
    uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_];

    Rule broken;
    uint32_t broken_at;  /* the state in which */
    uint16_t broken_via; /* the event breaks it */
    Fair broken_fair;    /* or this fair world goes on for ever: FAIR_MAX_ when it was an edge */
} Search;

/* Explores until all is known or a rule is broken. Aborts when out of memory. */
void search_run(Search *ret, const Bounds *bounds, StepFunction step);
void search_clear(Search *search);

/* Event by event from the start to the violation. Returns how many. */
size_t search_path(const Search *search, uint16_t **ret);

uint16_t search_encode(const HfEvent *event);
HfEvent search_decode(uint16_t code);
Column search_column(const HfEvent *event);
