/* The table of phases and events for ARCHITECTURE.md. */
#pragma once

#include "search.h"

/* Markdown, a row for each event that ever changes the phase, a column for each phase that is left:
 * in each cell the phases that follow, "=" where the phase stays, empty where the event cannot
 * come. */
void table_print(uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_], FILE *out);
