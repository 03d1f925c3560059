/* SPDX-License-Identifier: MIT */
/* Reports what happens: to the log, a short memory and a history, the user's commands, and the
 * supervisor above. */
#pragma once

#include "parts/events/hooks.h"
#include "parts/events/notices.h"
#include "parts/events/sd_notify.h"
#include "run/supervisor.h"

/* The last generations: when and why they started, how long they lived, how many processes they
 * had, and how they ended. */
#define HF_HISTORY_MAX      100
#define HF_HISTORY_TEXT_MAX 160 /* bytes of the text about the end */

/* The result of a warm-up. */
typedef struct HfWarmFigures {
    uint64_t listed;   /* scripts in the previous generation's cache that still exist */
    uint64_t scripts;  /* of these, in the cache */
    uint64_t requests; /* and commands */
    uint64_t failures; /* of these requests */
    uint64_t time;     /* usec; 0: there was none */
} HfWarmFigures;

/* Times in usec. A generation that was never ready has no ready; a living one has no end. */
typedef struct HfHistoryEntry {
    uint64_t number;
    HfCause cause;
    uint64_t started; /* CLOCK_REALTIME, like ready and ended; 0: not yet */
    uint64_t ready;
    uint64_t ended;
    uint64_t since;       /* CLOCK_MONOTONIC, when it started */
    uint64_t ready_after; /* from started to ready */
    uint64_t lifetime;    /* from started to ended */
    uint64_t processes;   /* the most that were seen */
    HfWarmFigures warmed;
    char *end; /* NULL while it lives; printable */
} HfHistoryEntry;

/* A zeroed one is empty. */
typedef struct HfHistory {
    HfHistoryEntry *entries[HF_HISTORY_MAX]; /* a ring of owned ones */
    size_t first;
    size_t n;
    uint64_t replaced[HF_CAUSE_MAX_]; /* generations that became active, by cause */
    uint64_t failures;                /* starts and replacements that failed */
    uint64_t ready_after;             /* of the last generation that became ready; 0: none */
    HfWarmFigures warmed;             /* of the last warm-up */
    uint64_t replaced_at;             /* CLOCK_REALTIME of the last replacement; 0: none */
    uint64_t asked;                   /* CLOCK_MONOTONIC, of the current request; 0: none */
    uint64_t switched;                /* when the last one got new connections, likewise: */
    uint64_t last;                    /* number of the generation that got them */
    uint64_t switched_after;          /* from asked to switched; 0: none */
    uint64_t gone_after;              /* from switched until the one before was gone; 0: none */
} HfHistory;

void hf_history_clear(HfHistory *history);

/* The nth entry, 0 for the oldest; n < history->n. */
const HfHistoryEntry *hf_history_get(const HfHistory *history, size_t n);
/* The entry of a generation, or NULL. */
HfHistoryEntry *hf_history_find(const HfHistory *history, uint64_t number);

/* Adds a generation that is being started. Without memory it has no entry, and later calls do
 * nothing. */
void hf_history_start(HfHistory *history, uint64_t number, HfCause cause);
void hf_history_ready(HfHistory *history, uint64_t number);
void hf_history_warmed(HfHistory *history, uint64_t number, const HfWarmFigures *figures);
/* Records how many processes were seen. */
void hf_history_count(HfHistory *history, uint64_t number, uint64_t processes);
/* how: one line. Only the first end counts. */
void hf_history_end(HfHistory *history, uint64_t number, const char *how);

typedef struct HfEvents {
    HfSupervisor *supervisor;
    HfNotices notices;
    HfHistory history;
    HfHooks *hooks;
    HfSdNotify *notify; /* NULL: there is no manager */
} HfEvents;

/* The state of this part, for others. */
HfEvents *hf_events_of(const HfSupervisor *supervisor);

/* Counts the processes of a generation that its kill mode includes, and records the number in the
 * history. memory: bytes (hf_process_memory), may be NULL. Returns 0 or negative errno. */
int hf_events_measure(HfEvents *events, HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory);
