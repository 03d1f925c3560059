/* SPDX-License-Identifier: MIT */
/* One edge of the graph: a state, an event, and what came of it. */
#pragma once

#include "world.h"

typedef struct Edge {
    const HfMachine *before;
    const World *world_before;
    const HfEvent *event;
    const HfActions *actions;
    const HfMachine *after;
    const World *world_after;
} Edge;

/* The first slot of that kind, or NULL. */
const WorldSlot *edge_find(const World *world, bool (*is)(const WorldSlot *));
unsigned edge_count(const World *world, bool (*is)(const WorldSlot *));
/* Started, and nobody asked for a stop. */
bool edge_wanted(const World *world);
/* The next action of that type after from (NULL: the first), or NULL. */
const HfAction *edge_action(const HfActions *actions, const HfAction *from, HfActionType type);
bool edge_is_timer(const HfEvent *event, HfTimer timer);
/* The active generation is lost in this step: exited, gone, or leaving by itself. */
bool edge_is_loss(const Edge *edge);
/* What the main process of the active generation leaves behind serves on. */
bool edge_serves_on(const Edge *edge);
/* The one that was starting or on trial is active now, or NULL. */
const WorldSlot *edge_successor(const Edge *edge);
/* The generation that was parked is asked for, and may be. */
bool edge_is_rollback(const Edge *edge);
/* The slot before a loss that has to be active again after it, or NULL. */
const WorldSlot *edge_resuming(const Edge *edge);
/* Another program goes on with the machine. */
bool edge_is_restart(const Edge *edge);
/* A replacement came to nothing in this step. */
bool edge_is_failure(const Edge *edge);
