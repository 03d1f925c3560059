/* SPDX-License-Identifier: MIT */
/* Fair worlds: what happens next when everything outside goes as it should. From every state such a
 * run must reach its goal. */
#pragma once

#include "world.h"

typedef enum Fair {
    FAIR_PROMPT,   /* who is asked to leave leaves; then preparing and starting succeed */
    FAIR_STUBBORN, /* preparing and starting succeed; who is asked to leave waits for KILL */
    FAIR_STOP,     /* a stop, and who is asked to leave waits for KILL */
    FAIR_MAX_,
} Fair;

const char *fair_text(Fair fair);
/* The rule that a run without an end breaks. */
Rule fair_rule(Fair fair);
/* How much this world wants the event next; 0: never. */
int fair_rank(Fair fair, const World *world, const HfEvent *event);
/* True in the goal, and where the question does not arise. */
bool fair_reached(Fair fair, const HfMachine *machine);
