/* SPDX-License-Identifier: MIT */
/* The part that says what happened: to the log, to a short memory and a history, to the user's
 * commands, and to the supervisor above. */
#pragma once

#include "parts/events/hooks.h"
#include "parts/events/notices.h"
#include "parts/events/sd_notify.h"
#include "run/supervisor.h"

/* The last generations: when, why, how long, how many, and how they ended. */
#define HF_HISTORY_MAX      100
#define HF_HISTORY_TEXT_MAX 160 /* bytes of how it ended */

/* What a warm-up came to. */
typedef struct HfWarmFigures {
    uint64_t listed;   /* scripts that the generation before had, and that are there still */
    uint64_t scripts;  /* of these, are in the cache */
    uint64_t requests; /* and commands */
    uint64_t failures; /* of these */
    uint64_t time;     /* usec; 0: there was none */
} HfWarmFigures;

/* usec. A generation that never was ready has no ready; one that lives has no end. */
typedef struct HfHistoryEntry {
    uint64_t number;
    HfCause cause;
    uint64_t started; /* CLOCK_REALTIME, as ready and ended; 0: not yet */
    uint64_t ready;
    uint64_t ended;
    uint64_t since;       /* CLOCK_MONOTONIC, of started */
    uint64_t ready_after; /* from started to ready */
    uint64_t lifetime;    /* from started to ended */
    uint64_t processes;   /* at most, of the times that somebody looked */
    HfWarmFigures warmed;
    char *end; /* NULL until then; printable */
} HfHistoryEntry;

/* A zeroed one is empty. */
typedef struct HfHistory {
    HfHistoryEntry *entries[HF_HISTORY_MAX]; /* a ring of owned ones */
    size_t first;
    size_t n;
    uint64_t replaced[HF_CAUSE_MAX_]; /* generations that became active, by cause */
    uint64_t failures;                /* starts and replacements that failed */
    uint64_t ready_after;             /* of the last that was ready; 0: none was */
    HfWarmFigures warmed;             /* of the last that was warmed */
    uint64_t replaced_at;             /* CLOCK_REALTIME of the last that followed another; 0 */
    uint64_t asked;                   /* CLOCK_MONOTONIC: a replacement is under way; 0: none is */
    uint64_t switched;                /* the same: when the last one took visitors; likewise: */
    uint64_t last;                    /* number of the generation that did */
    uint64_t switched_after;          /* from asked to switched; 0: there was none */
    uint64_t gone_after;              /* from switched until the one before was gone; 0 */
} HfHistory;

void hf_history_clear(HfHistory *history);

/* The nth entry, 0 for the oldest; n < history->n. */
const HfHistoryEntry *hf_history_get(const HfHistory *history, size_t n);
/* The entry of a generation, or NULL. */
HfHistoryEntry *hf_history_find(const HfHistory *history, uint64_t number);

/* A generation is started. Out of memory it has no entry, and what follows does nothing. */
void hf_history_start(HfHistory *history, uint64_t number, HfCause cause);
void hf_history_ready(HfHistory *history, uint64_t number);
void hf_history_warmed(HfHistory *history, uint64_t number, const HfWarmFigures *figures);
/* That many processes were seen. */
void hf_history_count(HfHistory *history, uint64_t number, uint64_t processes);
/* how: one line. The first end counts. */
void hf_history_end(HfHistory *history, uint64_t number, const char *how);

typedef struct HfEvents {
    HfSupervisor *supervisor;
    HfNotices notices;
    HfHistory history;
    HfHooks *hooks;
    HfSdNotify *notify; /* NULL: nobody is above us */
} HfEvents;

/* Of supervisor, for the parts that need it. */
HfEvents *hf_events_of(const HfSupervisor *supervisor);

/* Counts the processes of a generation for the history. memory, bytes, may be NULL. Returns 0 or
 * negative errno. */
int hf_events_measure(HfEvents *events, HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory);
