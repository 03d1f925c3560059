/* SPDX-License-Identifier: MIT */
/* The explorations: together they cover every transition; each is narrow in another direction. */
#pragma once

#include "world.h"

typedef enum BoundsKind {
    BOUNDS_CALLERS,   /* many requests, few generations */
    BOUNDS_PROCESSES, /* everything that processes can do */
    BOUNDS_FULL,      /* every slot in use */
    BOUNDS_GENTLE,    /* settle and retire */
    BOUNDS_EXTEND,    /* starts and drains that ask for more time */
    BOUNDS_OUTAGE,    /* the answerer */
    BOUNDS_HEALTH,    /* probes and recycling */
    BOUNDS_DOUBTS,    /* replacements that do not help */
    BOUNDS_ALL,       /* all of it together, with few generations */
    BOUNDS_DEATH,     /* holdfast's own */
    BOUNDS_UPGRADE,   /* of its program */
    BOUNDS_STOPS,     /* delays, the service's own end, a take-over that fails */
    BOUNDS_QUEUE,     /* who waits is served before a stop */
    BOUNDS_SIDES,
    BOUNDS_PARK,
    BOUNDS_MIXED,
    BOUNDS_SIDES_DEATH,
    BOUNDS_MAX_,
} BoundsKind;

/* narrow: for builds with sanitizers, and for machines that are broken on purpose. */
const Bounds *bounds_get(BoundsKind kind, bool narrow);
