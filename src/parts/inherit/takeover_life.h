/* SPDX-License-Identifier: MIT */
/* The life of a take-over: when the old server is asked to leave, and when it is left alone. */
#pragma once

#include <stdbool.h>

typedef enum HfTakeoverState {
    HF_TAKEOVER_COPIED,   /* no generation is active yet; the old server serves undisturbed */
    HF_TAKEOVER_SETTLING, /* a generation is active beside it, and warms up */
    HF_TAKEOVER_RETIRING, /* the old server's processes have been asked to leave */
    HF_TAKEOVER_ENDING,   /* its master, whose workers have left, has been killed */
    HF_TAKEOVER_OVER,     /* it has left, or holdfast has let go of it */
    HF_TAKEOVER_STATE_MAX_,
} HfTakeoverState;

typedef enum HfTakeoverEvent {
    HF_TAKEOVER_READY,        /* a generation is active; harmless when repeated */
    HF_TAKEOVER_SETTLED,      /* the ARMed time has elapsed */
    HF_TAKEOVER_LOST,         /* no generation is active any more; harmless when repeated */
    HF_TAKEOVER_FAILED,       /* ASK failed */
    HF_TAKEOVER_WORKERS_GONE, /* all processes that ASK asked have left */
    HF_TAKEOVER_MASTER_GONE,  /* the killed master is gone */
    HF_TAKEOVER_STOP,         /* let go of it */
    HF_TAKEOVER_EVENT_MAX_,
} HfTakeoverEvent;

/* Flags, performed in this order; 0: none. */
typedef enum HfTakeoverAction {
    HF_TAKEOVER_ARM = 1 << 0,
    HF_TAKEOVER_DISARM = 1 << 1,
    HF_TAKEOVER_FREEZE = 1 << 2, /* stop the master (SIGSTOP), so that it starts no workers */
    HF_TAKEOVER_ASK = 1 << 3,   /* ask the workers, or all without a master; ends in WORKERS_GONE */
    HF_TAKEOVER_SPARE = 1 << 4, /* ask and wait for no process any more */
    HF_TAKEOVER_CONTINUE = 1 << 5, /* continue the master (SIGCONT) */
    HF_TAKEOVER_KILL = 1 << 6,     /* kill the master; ends in MASTER_GONE */
    HF_TAKEOVER_FINISH = 1 << 7,   /* the old server has left */
} HfTakeoverAction;

/* Zero-initialised except for master. */
typedef struct HfTakeoverLife {
    HfTakeoverState state;
    bool master; /* it has a master, whose workers are asked in its place (php-fpm) */
} HfTakeoverLife;

/* Takes one event and returns HfTakeoverActions. An event that does not fit the state changes
 * nothing. */
unsigned hf_takeover_step(HfTakeoverLife *life, HfTakeoverEvent event);
