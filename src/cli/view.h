/* SPDX-License-Identifier: MIT */
/* What an instance says about itself, read over D-Bus. holdfast-control(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "base/text.h"

/* Strings are borrowed from the view, and printable: terminal control characters have become '?'.
 * Times in usec; moments of CLOCK_REALTIME, 0: not yet. */
typedef struct HfViewGeneration {
    uint64_t number;
    const char *state;
    const char *stage;
    const char *cause;
    uint32_t pid; /* 0: its main process has exited */
    uint64_t started;
    uint64_t ready;
    uint64_t age;
    uint32_t processes;
    uint64_t memory; /* bytes */
    const char *status;
} HfViewGeneration;

typedef struct HfViewListener {
    const char *name;
    const char *address;
    const char *kind;
    uint32_t depth;
    uint32_t limit;
    uint32_t highest;
    int64_t drops; /* of all sides; -1: unknown */
    uint32_t standby_depth;
    uint32_t standby_limit; /* 0: it has one side */
    const char *one_side;   /* why; "": it has two, or need not */
} HfViewListener;

/* Numbers below 0 are unknown. */
typedef struct HfViewPool {
    const char *name;
    int64_t active; /* workers, like: */
    int64_t idle;
    int64_t total;
    int64_t limit;
    int64_t queue;
    int64_t accepted;
    int64_t max_children;
    int64_t slow;
    int64_t memory_peak; /* bytes */
    const char *error;   /* why the others are not known; "": they are */
} HfViewPool;

typedef struct HfViewCache {
    int64_t scripts;
    int64_t keys;
    int64_t keys_limit;
    int64_t hits;
    int64_t misses;
    int64_t used; /* bytes, like free and wasted */
    int64_t free;
    int64_t wasted;
    int64_t full_restarts;
    const char *error;
} HfViewCache;

typedef struct HfViewEvent {
    const char *name;
    uint64_t generation;
    const char *cause;
    const char *text;
    uint64_t time;
} HfViewEvent;

typedef struct HfViewPast {
    uint64_t number;
    const char *cause;
    uint64_t started;
    uint64_t ready;
    uint64_t ended;
    uint64_t ready_after;
    uint64_t lifetime;
    uint32_t processes;
    const char *end;
    uint64_t warm_listed;
    uint64_t warm_scripts;
    uint64_t warm_requests;
    uint64_t warm_failures;
    uint64_t warm_time; /* 0: there was no warm-up */
} HfViewPast;

typedef struct HfViewCount {
    const char *cause;
    uint64_t count;
} HfViewCount;

#define HF_VIEW_MESSAGES 6

typedef struct HfView {
    const char *name;
    const char *version;
    const char *state;
    uint32_t pid;
    uint32_t draining;
    uint64_t started;
    uint64_t generation; /* 0: none is active */
    uint64_t failures;
    uint64_t replaced;
    const char *handover;
    uint64_t late_connections;
    uint64_t held_until;     /* 0: new connections do not wait */
    const char *spared;      /* processes that generations have left alone, and that live */
    uint64_t ready_after;    /* of the last generation that became ready, 0: none */
    uint64_t switched_after; /* from request to switch of the last replacement, 0: none */
    uint64_t gone_after;     /* and from the switch until the old one was gone; 0: not yet */
    uint64_t warm_listed;    /* see HfViewPast, of the last warm-up */
    uint64_t warm_scripts;
    uint64_t warm_requests;
    uint64_t warm_failures;
    uint64_t warm_time;
    HfViewCount *replacements;
    size_t n_replacements;
    HfViewGeneration *generations; /* oldest first */
    size_t n_generations;
    HfViewListener *listeners;
    size_t n_listeners;
    HfViewPool *pools;
    size_t n_pools;
    HfViewCache *caches; /* opcode caches; at most one */
    size_t n_caches;
    HfViewEvent *events; /* oldest first */
    size_t n_events;
    HfViewPast *history; /* oldest first; only from hf_views_read_history */
    size_t n_history;
    sd_bus_message *messages[HF_VIEW_MESSAGES];
    size_t n_messages;
    char **cleaned; /* strings that had to be made printable */
} HfView;

void hf_view_clear(HfView *view);
#define HF_CLEANUP_VIEW __attribute__((cleanup(hf_view_clear)))

typedef enum HfViewShown {
    HF_SHOWN_STRING,
    HF_SHOWN_LINES,
    HF_SHOWN_WORDS, /* null if empty */
    HF_SHOWN_NUMBER,
    HF_SHOWN_COUNT,   /* null if missing: 0, or below 0 for an 'x' */
    HF_SHOWN_SECONDS, /* given in usec; null if 0 */
    HF_SHOWN_LIST,
} HfViewShown;

/* One value, as in D-Bus, JSON, and Prometheus. */
typedef struct HfViewField {
    const char *key;
    char type; /* in D-Bus: 's', 'u', 't', 'x', as const char *, uint32_t, uint64_t, int64_t */
    HfViewShown shown;
    size_t offset;
    const char *property; /* name of the instance's property; NULL: a member of a row */
    const char *metric;   /* behind "holdfast_"; NULL: none. Of a string: the label that it is */
    const char *help;     /* of the metric */
} HfViewField;

#define HF_VIEW_FIELDS_MAX 15

/* Rows, each a struct ('r') or a dict entry ('e'). */
typedef struct HfViewList {
    const char *key;
    const char *method; /* returns the list; NULL: it is a property */
    char container;
    size_t size; /* of a row */
    size_t rows; /* offsets in HfView */
    size_t n_rows;
    HfViewField fields[HF_VIEW_FIELDS_MAX]; /* in D-Bus order; unused ones have no key */
} HfViewList;

typedef enum HfViewListName {
    HF_VIEW_REPLACEMENTS,
    HF_VIEW_GENERATIONS,
    HF_VIEW_LISTENERS,
    HF_VIEW_POOLS,
    HF_VIEW_CACHES,
    HF_VIEW_EVENTS,
    HF_VIEW_HISTORY,
    HF_VIEW_LISTS,
} HfViewListName;

extern const HfViewList hf_view_lists[HF_VIEW_LISTS];
extern const HfViewField hf_view_properties[]; /* ends with one without a key */

/* Reads everything except the history. Returns 0, or negative errno: -ECONNRESET and the like when
 * the instance has ended, -ETIMEDOUT after HF_CLIENT_TIMEOUT, -EBADMSG for an unexpected answer. */
int hf_view_read(sd_bus *bus, HfView *ret);

typedef struct HfViews {
    HfView *views;
    size_t n;
} HfViews;

void hf_views_clear(HfViews *views);
#define HF_CLEANUP_VIEWS __attribute__((cleanup(hf_views_clear)))

/* Reads the instance with that name or, with name NULL, all at the same time: within
 * HF_CLIENT_TIMEOUT each has answered or failed. Views have the instances' labels (client.h).
 * Returns an exit status; failures have been logged, and the other views are there. ret_several: is
 * there more than one instance? */
int hf_views_read(const char *name, HfViews *ret, bool *ret_several);
/* Reads the history of one instance; NULL: the only one. */
int hf_views_read_history(const char *name, HfViews *ret);

/* With six decimals. */
void hf_view_add_seconds(HfText *text, uint64_t usec);
/* One JSON object (RFC 8259) on one line. */
void hf_view_add_json(const HfView *view, HfText *text);
void hf_view_add_history_json(const HfView *view, HfText *text);

/* Adds Prometheus' text format 0.0.4, or OpenMetrics 1.0.0, for n instances. A view with nothing
 * but a name stands for an instance that does not answer. */
void hf_view_add_metrics(const HfView *views, size_t n, bool open, HfText *text);
