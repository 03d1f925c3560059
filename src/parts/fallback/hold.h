/* SPDX-License-Identifier: MIT */
/* New connections that are held: they wait for a while, and are answered from then on, until they
 * are let through again. */
#pragma once

#include <stdbool.h>

typedef enum HfHoldState {
    HF_HOLD_NONE,
    HF_HOLD_WAITING,  /* they wait, and a timer runs */
    HF_HOLD_ANSWERED, /* an answerer runs */
    HF_HOLD_STATE_MAX_,
} HfHoldState;

typedef enum HfHoldEvent {
    HF_HOLD_ASKED,
    HF_HOLD_RELEASED,
    HF_HOLD_ELAPSED,    /* ARM or RETRY */
    HF_HOLD_UNANSWERED, /* the answerer has ended unasked */
    HF_HOLD_STOPPING,   /* the service is to stop; harmless when repeated */
    HF_HOLD_EVENT_MAX_,
} HfHoldEvent;

/* Flags, done in this order; 0: nothing. */
typedef enum HfHoldAction {
    HF_HOLD_REFUSE = 1 << 0, /* whoever asked: alone */
    HF_HOLD_DISARM = 1 << 1,
    HF_HOLD_SILENCE = 1 << 2, /* the answerer ends */
    HF_HOLD_STEER = 1 << 3,   /* new connections go where nobody is served */
    HF_HOLD_RETURN = 1 << 4,  /* they are served, and so are those that wait */
    HF_HOLD_ARM = 1 << 5,     /* for the time that was asked for, in place of what was armed */
    HF_HOLD_RETRY = 1 << 6,   /* for a moment */
    HF_HOLD_ANSWER = 1 << 7,  /* the answerer begins; ends in UNANSWERED if it cannot */
} HfHoldAction;

/* Zeroed at first. */
typedef struct HfHoldLife {
    HfHoldState state;
    bool stopping; /* nobody is made to wait any more */
} HfHoldLife;

/* Takes one event and returns HfHoldActions. What does not fit the state changes nothing. */
unsigned hf_hold_step(HfHoldLife *life, HfHoldEvent event);
