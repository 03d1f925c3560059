/* SPDX-License-Identifier: MIT */
/* Reports what happens: to the log, a short memory and a history, the user's commands, and the
 * supervisor above. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "run/activated.h"
#include "run/supervisor.h"

/* What happened, published once each: to the log, a short memory, and subscribers. The machine's
 * reports and the parts' own notices share one kind of name. */

#define HF_NOTICES_KEPT       64
#define HF_NOTICE_NAME_MAX    31
#define HF_NOTICE_TEXT_MAX    512 /* bytes kept and sent to subscribers; the log gets all */
#define HF_NOTICE_SUBSCRIBERS 4

/* Names and MESSAGE_ID= (systemd.journal-fields(7)) are listed in holdfast(1), and never change. */
typedef struct HfNoticeKind {
    const char *name; /* of a report of the machine, or a part's own */
    int level;        /* as in syslog(3) */
    const char *message_id;
} HfNoticeKind;

typedef struct HfNotice {
    uint64_t realtime; /* usec, CLOCK_REALTIME */
    char name[HF_NOTICE_NAME_MAX + 1];
    int level;
    uint64_t generation; /* 0: none */
    const char *cause;   /* why that generation was started (hf_cause_name), or ""; static */
    char *text;          /* one or more lines of printable UTF-8 */
} HfNotice;

/* notice is valid during the call. Must not publish. */
typedef void (*HfNoticeCallback)(const HfNotice *notice, void *userdata);

/* A zeroed one is empty. */
typedef struct HfNotices {
    HfNotice *kept; /* a ring of HF_NOTICES_KEPT once there are as many; owns its texts */
    size_t capacity;
    size_t first;
    size_t n;
    struct {
        HfNoticeCallback callback;
        void *userdata;
    } subscribers[HF_NOTICE_SUBSCRIBERS];
    size_t n_subscribers;
} HfNotices;

void hf_notices_clear(HfNotices *notices);

/* Subscribes for as long as notices lives. Asserts that there are at most HF_NOTICE_SUBSCRIBERS. */
void hf_notices_subscribe(HfNotices *notices, HfNoticeCallback callback, void *userdata);

/* text: any bytes, of any length. */
void hf_notices_publish(HfNotices *notices, const HfNoticeKind *kind, uint64_t generation,
                        const char *cause, const char *text);
/* Publishes a report of the machine in words; some are for the log only. */
void hf_notices_report(HfNotices *notices, const HfSupervisor *supervisor, const HfAction *action);

/* The nth kept notice, 0 for the oldest; n < notices->n. */
const HfNotice *hf_notices_get(const HfNotices *notices, size_t n);

/* The one queue to the manager above, for READY, RELOADING, STOPPING, STATUS, WATCHDOG, FDSTORE and
 * FDSTOREREMOVE. Messages that it does not read at once wait, in order, and are sent when it does;
 * a later one replaces those that it makes pointless, so few wait. sd_notify(3). */

typedef struct HfSdNotify HfSdNotify;

/* Also sends watchdog pings if the manager wants them (WATCHDOG_USEC). *ret is NULL without a
 * manager, and all functions accept that. Returns 0 or negative errno. */
int hf_sd_notify_new(HfSupervisor *supervisor, HfSdNotify **ret);
HfSdNotify *hf_sd_notify_free(HfSdNotify *notify);

/* Called once it is known what is being resumed, if anything. */
void hf_sd_notify_claimed(HfSdNotify *notify);
/* After each step: sends what has changed. */
void hf_sd_notify_state(HfSdNotify *notify);
/* Before the program is replaced, and if that failed. */
void hf_sd_notify_reloading(HfSdNotify *notify);
void hf_sd_notify_again(HfSdNotify *notify);
/* Adds notes for the next program. Returns 0 or -ENOMEM. */
int hf_sd_notify_captured(const HfSdNotify *notify, HfNotes *notes);

/* Puts fd into the manager's fd store; copies it if the message has to wait. Returns 0 or negative
 * errno. */
int hf_sd_notify_store(HfSdNotify *notify, const char *name, int fd);
/* Removes all descriptors with that name from the store. Returns 0 or negative errno. */
int hf_sd_notify_unstore(HfSdNotify *notify, const char *name);
/* Is a message about that name waiting? */
bool hf_sd_notify_waits(const HfSdNotify *notify, const char *name);

/* The user's commands for events (--on-event): one at a time, without delaying anything. */

typedef struct HfHooks HfHooks;

/* Subscribes to the notices: for each one runs the command in the settings by /bin/sh -c, after
 * those already waiting. Notices of the same name that wait share one run (HOLDFAST_REPEATS tells),
 * so no more wait than there are names. Returns 0 or negative errno. */
int hf_hooks_new(HfSupervisor *supervisor, HfNotices *notices, HfHooks **ret);
/* Kills a running command. Accepts and returns NULL. */
HfHooks *hf_hooks_free(HfHooks *hooks);

/* Before an upgrade: starts no command until hf_hooks_release. Is one running? Then UPGRADE_TESTED
 * is posted when it has ended. */
bool hf_hooks_hold(HfHooks *hooks);
void hf_hooks_release(HfHooks *hooks);
/* The queue, for the next program and from the previous one. Return 0 or -ENOMEM. */
int hf_hooks_captured(const HfHooks *hooks, HfNotes *notes);
int hf_hooks_claimed(HfHooks *hooks);

/* The session of the running command, or 0. */
pid_t hf_hooks_session(const HfHooks *hooks);

/* Calls back from the loop once all waiting commands have run, or after the time allowed for one.
 */
typedef void (*HfHooksCallback)(void *userdata);
int hf_hooks_finish(HfHooks *hooks, HfHooksCallback callback, void *userdata);

/* Reports what happens: to the log, a short memory and a history, the user's commands, and the
 * supervisor above. */

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

/* Calls visit for each process that is spared when the generation leaves; text: its name, its pid,
 * and what it holds. */
typedef void (*HfSparedVisit)(pid_t pid, const char *text, void *userdata);
void hf_notices_visit_spared(const HfGeneration *generation, HfSparedVisit visit, void *userdata);

/* A process that a generation has left alone. */
typedef struct HfSpared {
    pid_t pid;
    uint64_t started; /* see hf_process_started */
    char *text;       /* owned */
} HfSpared;

typedef struct HfEvents {
    HfSupervisor *supervisor;
    HfNotices notices;
    HfHistory history;
    HfSpared *spared; /* by generations that are gone */
    size_t n_spared;
    size_t spared_capacity;
    HfHooks *hooks;
    HfSdNotify *notify; /* NULL: there is no manager */
} HfEvents;

/* The state of this part, for others. */
HfEvents *hf_events_of(const HfSupervisor *supervisor);

/* Counts the processes of a generation that its kill mode includes, and records the number in the
 * history. memory: bytes (hf_process_memory), may be NULL. Returns 0 or negative errno. */
int hf_events_measure(HfEvents *events, HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory);

/* Appends one line: which processes, of those that generations have left alone, still live, and
 * what each held. */
void hf_events_name_spared(HfEvents *events, HfText *text);
