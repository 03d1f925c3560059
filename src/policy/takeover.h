/* SPDX-License-Identifier: MIT */
/* The life of a take-over: when the old server is asked to leave, and when it is let be. */
#pragma once

#include <stdbool.h>

typedef enum HfTakeoverState {
    HF_TAKEOVER_COPIED,   /* the old server serves, untouched, and no generation is active */
    HF_TAKEOVER_SETTLING, /* one is, beside it, and warms up */
    HF_TAKEOVER_RETIRING, /* the old server's processes are asked, and awaited */
    HF_TAKEOVER_ENDING,   /* its master, which has no workers any more, has been killed */
    HF_TAKEOVER_OVER,     /* it has left, or holdfast has let go of it */
    HF_TAKEOVER_STATE_MAX_,
} HfTakeoverState;

typedef enum HfTakeoverEvent {
    HF_TAKEOVER_READY,        /* a generation is active; harmless when repeated */
    HF_TAKEOVER_SETTLED,      /* ARM has elapsed */
    HF_TAKEOVER_LOST,         /* none is active any more; harmless when repeated */
    HF_TAKEOVER_FAILED,       /* ASK could not be done */
    HF_TAKEOVER_WORKERS_GONE, /* nobody is left of those that ASK asked */
    HF_TAKEOVER_MASTER_GONE,  /* KILL is over */
    HF_TAKEOVER_STOP,         /* holdfast lets go of it */
    HF_TAKEOVER_EVENT_MAX_,
} HfTakeoverEvent;

/* Flags, done in this order; 0: nothing. */
typedef enum HfTakeoverAction {
    HF_TAKEOVER_ARM = 1 << 0,
    HF_TAKEOVER_DISARM = 1 << 1,
    HF_TAKEOVER_FREEZE = 1 << 2, /* the master is stopped (SIGSTOP), so that it starts no workers */
    HF_TAKEOVER_ASK = 1 << 3,    /* the workers, or all without a master; ends in WORKERS_GONE */
    HF_TAKEOVER_SPARE = 1 << 4,  /* nobody is asked or awaited any more */
    HF_TAKEOVER_CONTINUE = 1 << 5, /* the master (SIGCONT) */
    HF_TAKEOVER_KILL = 1 << 6,     /* the master; ends in MASTER_GONE */
    HF_TAKEOVER_FINISH = 1 << 7,   /* the old server has left */
} HfTakeoverAction;

/* Zeroed at first, but for master. */
typedef struct HfTakeoverLife {
    HfTakeoverState state;
    bool master; /* it has one whose workers are asked in its place (php-fpm) */
} HfTakeoverLife;

/* Takes one event and returns HfTakeoverActions. What does not fit the state changes nothing. */
unsigned hf_takeover_step(HfTakeoverLife *life, HfTakeoverEvent event);
