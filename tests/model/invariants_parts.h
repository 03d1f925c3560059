/* SPDX-License-Identifier: MIT */
/* The invariants of what was added to the plain life of a generation, one file a group. */
#pragma once

#include "edge.h"

/* Handover: settle, retire, SIGSTOP, extended deadlines. */
Rule invariants_sides(const Edge *edge);
Rule invariants_handover(const Edge *edge);
/* Nobody serves: BUSY, outage, answerer. */
Rule invariants_gap(const Edge *edge);
/* Upgrade and adoption: another program goes on. */
Rule invariants_program(const Edge *edge);
/* Why and when everything stops, and with what status. */
Rule invariants_stop(const Edge *edge);
/* Probes and age of the active generation. */
Rule invariants_health(const Edge *edge);
