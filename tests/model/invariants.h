/* SPDX-License-Identifier: MIT */
/* The rules on one edge of the graph. */
#pragma once

#include "edge.h"

/* The first rule that the edge or the state after it breaks, or RULE_NONE. */
Rule invariants_check(const Edge *edge);
/* How many actions a step may have taken, were the table of requests full, and every slot. */
size_t invariants_actions(const HfActions *actions);
