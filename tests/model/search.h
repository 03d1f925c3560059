/* SPDX-License-Identifier: MIT */
/* Breadth first through every event in every reachable state. */
#pragma once

#include <stdio.h>

#include "canonical.h"
#include "fair.h"
#include "invariants.h"
#include "table.h"

typedef void (*StepFunction)(HfMachine *machine, const HfEvent *event, HfActions *ret);

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
    Table met;

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
