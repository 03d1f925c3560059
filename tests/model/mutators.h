/* SPDX-License-Identifier: MIT */
/* Machines that are broken on purpose, at least one for each rule. */
#pragma once

#include "bounds.h"
#include "search.h"

typedef struct Mutant {
    Rule breaks;
    BoundsKind bounds;
    const char *does;
    StepFunction step;
} Mutant;

extern const Mutant mutants[];
extern const size_t mutants_n;
