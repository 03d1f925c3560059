/* SPDX-License-Identifier: MIT */
/* The machine's own table, as the exploration has met it. */
#pragma once

#include <stdio.h>

#include "policy/machine.h"

/* For each cell the phases in which the move left the machine, a bit each. */
typedef struct Table {
    uint32_t after[HF_MOVE_MAX_][HF_PHASE_MAX_];
} Table;

void table_note(Table *table, const HfActions *actions);
void table_merge(Table *table, const Table *other);
/* Every decision was met, and a dot has changed no phase; prints what is wrong. */
bool table_check(const Table *table, FILE *out);
/* Markdown, a row for each move, a column for each phase: what is decided, and where that may lead.
 */
void table_print(const Table *table, FILE *out);
