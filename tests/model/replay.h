/* SPDX-License-Identifier: MIT */
/* A path through the graph, followed again by a machine that nobody tidies. */
#pragma once

#include "search.h"

typedef struct Replay {
    StepFunction step;
    HfMachine machine;
    World world;
    uint64_t last_id;
} Replay;

void replay_init(Replay *ret, const Bounds *bounds, StepFunction step);
/* The event of the graph, with the slot and the id that it has here. */
HfEvent replay_event(const Replay *replay, uint16_t code);
/* Takes it. Returns the rule that an action breaks. */
Rule replay_step(Replay *replay, const HfEvent *event, HfActions *ret);

/* Prints the shortest path to the violation, and for a fair world how it goes on. */
void replay_story(const Search *search, FILE *out);

/* Walks at random and compares at each step the machine as it is with its tidy form. Returns false,
 * and prints the step, when they part: then canonical_tidy drops something that matters. */
bool replay_walk(const Bounds *bounds, unsigned walks, unsigned steps, FILE *out);
