/* SPDX-License-Identifier: MIT */
#include "parts/events/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "parts.h"
#include "run/members.h"

HfEvents *hf_events_of(const HfSupervisor *supervisor)
{
    return hf_supervisor_state(supervisor, &hf_part_events);
}

/* ---- the history ---- */

static void free_entry(HfHistoryEntry *entry)
{
    if (entry)
        free(entry->end);
    free(entry);
}

void hf_history_clear(HfHistory *history)
{
    for (size_t i = 0; i < HF_HISTORY_MAX; i++)
        free_entry(history->entries[i]);
    *history = (HfHistory){0};
}

static size_t index_of(const HfHistory *history, size_t n)
{
    return (history->first + n) % HF_HISTORY_MAX;
}

const HfHistoryEntry *hf_history_get(const HfHistory *history, size_t n)
{
    assert(n < history->n);
    return history->entries[index_of(history, n)];
}

HfHistoryEntry *hf_history_find(const HfHistory *history, uint64_t number)
{
    for (size_t i = history->n; i-- > 0;) {
        HfHistoryEntry *entry = history->entries[index_of(history, i)];
        if (entry->number == number)
            return entry;
    }
    return NULL;
}

void hf_history_start(HfHistory *history, uint64_t number, HfCause cause)
{
    HfHistoryEntry *entry = malloc(sizeof(*entry));

    if (!entry)
        return;
    *entry = (HfHistoryEntry){
        .number = number,
        .cause = cause,
        .started = hf_clock_realtime(),
        .since = hf_clock_monotonic(),
    };
    if (history->n == HF_HISTORY_MAX) {
        free_entry(history->entries[history->first]);
        history->first = index_of(history, 1);
        history->n--;
    }
    history->entries[index_of(history, history->n++)] = entry;
}

void hf_history_ready(HfHistory *history, uint64_t number)
{
    HfHistoryEntry *entry = hf_history_find(history, number);

    if (!entry || entry->ready > 0)
        return;
    entry->ready = hf_clock_realtime();
    entry->ready_after = hf_clock_monotonic() - entry->since;
    history->ready_after = entry->ready_after;
    history->replaced[entry->cause]++;
    if (entry->cause == HF_CAUSE_START)
        return;
    history->replaced_at = entry->ready;
    history->switched = hf_clock_monotonic();
    if (history->asked > 0) /* the start after a crash needs no preparation */
        history->switched_after = history->switched - history->asked;
    history->last = number;
    history->gone_after = 0;
}

void hf_history_warmed(HfHistory *history, uint64_t number, const HfWarmFigures *figures)
{
    HfHistoryEntry *entry = hf_history_find(history, number);

    history->warmed = *figures;
    if (entry)
        entry->warmed = *figures;
}

void hf_history_count(HfHistory *history, uint64_t number, uint64_t processes)
{
    HfHistoryEntry *entry = hf_history_find(history, number);

    if (entry && processes > entry->processes)
        entry->processes = processes;
}

void hf_history_end(HfHistory *history, uint64_t number, const char *how)
{
    char end[HF_HISTORY_TEXT_MAX + 1];
    HfHistoryEntry *entry = hf_history_find(history, number);

    if (!entry || entry->ended > 0)
        return;
    entry->ended = hf_clock_realtime();
    entry->lifetime = hf_clock_monotonic() - entry->since;
    hf_text_printable(how, strcspn(how, "\n"), end, sizeof(end));
    entry->end = strdup(end);
}

typedef struct Measure {
    uint64_t processes;
    uint64_t memory;
    bool look;
} Measure;

static int measure_one(HfProcess *process, void *userdata)
{
    Measure *measure = userdata;
    uint64_t memory;

    measure->processes++;
    if (measure->look && hf_process_memory(process->pid, &memory) == 0)
        measure->memory += memory;
    return 0;
}

static int measure_members(HfGeneration *generation, Measure *ret)
{
    hf_generation_learn_program(generation);
    return hf_process_visit(hf_members_counts, &generation->members, measure_one, ret);
}

int hf_events_measure(HfEvents *events, HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory)
{
    Measure measure = {.look = ret_memory != NULL};

    int r = measure_members(generation, &measure);
    if (r < 0)
        return r;
    hf_history_count(&events->history, generation->number, measure.processes);
    *ret_processes = measure.processes;
    if (ret_memory)
        *ret_memory = measure.memory;
    return 0;
}

static void record_end(HfEvents *events, const HfGeneration *generation)
{
    HF_CLEANUP_TEXT HfText how = {0};

    if (generation->late)
        hf_text_add(&how, "was not ready in time, ");
    hf_generation_explain_status(generation, &how);
    hf_history_end(&events->history, generation->number, hf_text_peek(&how));
}

static void record_spawn(HfEvents *events, const HfAction *action)
{
    hf_history_start(&events->history, action->number, action->cause);
    if (!events->supervisor->generations[action->slot])
        hf_history_end(&events->history, action->number, events->supervisor->failure);
}

static void record_report(HfEvents *events, const HfAction *action)
{
    HfGeneration *generation = events->supervisor->generations[action->slot];
    HfHistory *history = &events->history;
    Measure measure = {0};
    uint64_t processes;

    if (hf_report_is_failure(action->report))
        history->failures++;
    if (action->report == HF_REPORT_GONE && action->number < history->last)
        history->gone_after = hf_clock_monotonic() - history->switched;
    if (!generation || action->number != generation->number)
        return;
    if (hf_report_is_failure(action->report) && generation->failure)
        hf_history_end(history, generation->number, generation->failure);
    else if (action->report == HF_REPORT_READY)
        hf_history_ready(history, generation->number);
    else if (action->report == HF_REPORT_DRAINING)
        hf_events_measure(events, generation, &processes, NULL);
    else if (action->report == HF_REPORT_CRASHED &&
             measure_members(generation, &measure) >= 0) /* and its main one */
        hf_history_count(history, generation->number, 1 + measure.processes);
    else if (action->report == HF_REPORT_GONE)
        record_end(events, generation);
}

static void record_action(HfEvents *events, const HfAction *action)
{
    if (action->type == HF_ACTION_SPAWN)
        record_spawn(events, action);
    else if (action->type == HF_ACTION_PREPARE && events->history.asked == 0)
        events->history.asked = hf_clock_monotonic();
    else if (action->type == HF_ACTION_REPORT)
        record_report(events, action);
    if (action->type == HF_ACTION_REPORT &&
        (action->report == HF_REPORT_READY || hf_report_is_failure(action->report)))
        events->history.asked = 0;
}

/* ---- what is left alone ---- */

#define SPARED_KEPT     64
#define SPARED_SHOWN    8
#define SPARED_NOTE     "spared"
#define SPARED_TEXT_MAX 200

static bool lives(const HfSpared *spared)
{
    uint64_t started;
    uint64_t memory; /* a zombie has none */

    return hf_process_started(spared->pid, &started) == 0 && started == spared->started &&
           hf_process_memory(spared->pid, &memory) != -ENODATA;
}

static void forget_dead(HfEvents *events, bool all)
{
    size_t n = 0;

    for (size_t i = 0; i < events->n_spared; i++)
        if (!all && lives(&events->spared[i]))
            events->spared[n++] = events->spared[i];
        else
            free(events->spared[i].text);
    events->n_spared = n;
}

static void keep_spared(HfEvents *events, pid_t pid, uint64_t started, const char *text)
{
    HfSpared spared = {.pid = pid, .started = started};
    char printable[SPARED_TEXT_MAX + 1];

    for (size_t i = 0; i < events->n_spared; i++)
        if (events->spared[i].pid == pid)
            return;
    hf_text_printable(text, strlen(text), printable, sizeof(printable));
    if (events->n_spared == SPARED_KEPT || !lives(&spared) ||
        hf_array_reserve(&events->spared, &events->spared_capacity, events->n_spared + 1,
                         sizeof(spared)) < 0 ||
        !(spared.text = strdup(printable)))
        return;
    events->spared[events->n_spared++] = spared;
}

typedef struct Sparing {
    HfEvents *events;
    uint64_t generation;
} Sparing;

static void remember_spared(pid_t pid, const char *text, void *userdata)
{
    const Sparing *sparing = userdata;
    HF_CLEANUP_TEXT HfText whole = {0};
    uint64_t started;

    hf_text_addf(&whole, "%s (of generation %llu)", text, (unsigned long long)sparing->generation);
    if (hf_process_started(pid, &started) == 0)
        keep_spared(sparing->events, pid, started, hf_text_peek(&whole));
}

static void find_spared(HfEvents *events, const HfGeneration *generation)
{
    Sparing sparing = {events, generation->number};

    forget_dead(events, false);
    hf_notices_visit_spared(generation, remember_spared, &sparing);
}

void hf_events_name_spared(HfEvents *events, HfText *text)
{
    const HfSupervisor *supervisor = events->supervisor;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i] && hf_stage_leaves(supervisor->machine.generations[i].stage))
            find_spared(events, supervisor->generations[i]);
    forget_dead(events, false);
    for (size_t i = 0; i < events->n_spared && i < SPARED_SHOWN; i++)
        hf_text_addf(text, "%s%s", i > 0 ? "; " : "", events->spared[i].text);
    if (events->n_spared > SPARED_SHOWN)
        hf_text_addf(text, "; and %zu more", events->n_spared - SPARED_SHOWN);
}

/* A note is its pid, its start, and what to say. */
static void restore_spared(HfEvents *events)
{
    const HfNotes *notes = &events->supervisor->notes;

    for (size_t i = 0; i < notes->n; i++) {
        const char *text = notes->list[i].text;
        char *end;
        if (strcmp(notes->list[i].key, SPARED_NOTE) != 0 || !text)
            continue;
        unsigned long pid = strtoul(text, &end, 10);
        unsigned long long started = strtoull(end, &end, 10);
        if (pid > 0 && pid <= INT32_MAX && *end == ' ')
            keep_spared(events, (pid_t)pid, started, end + 1);
    }
}

static int capture_spared(const HfEvents *events, HfNotes *notes)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < events->n_spared; i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        if (!lives(&events->spared[i]))
            continue;
        hf_text_addf(&text, "%d %llu %s", (int)events->spared[i].pid,
                     (unsigned long long)events->spared[i].started, events->spared[i].text);
        r = hf_notes_add(notes, SPARED_NOTE, hf_text_peek(&text), -1);
    }
    return r;
}

/* ---- the part ---- */

static void events_clear(void *state)
{
    HfEvents *events = state;

    hf_hooks_free(events->hooks);
    hf_sd_notify_free(events->notify);
    forget_dead(events, true);
    free(events->spared);
    hf_history_clear(&events->history);
    hf_notices_clear(&events->notices);
}

static int events_begin(void *state, HfText *error)
{
    HfEvents *events = state;
    HfSupervisor *supervisor = events->supervisor;

    (void)error;
    int r = hf_hooks_new(supervisor, &events->notices, &events->hooks);
    return r < 0 ? r : hf_sd_notify_new(supervisor, &events->notify);
}

static int events_claimed(void *state, HfText *error)
{
    HfEvents *events = state;

    (void)error;
    restore_spared(events);
    hf_sd_notify_claimed(events->notify);
    return hf_hooks_claimed(events->hooks);
}

static void events_performed(void *state, const HfAction *action)
{
    HfEvents *events = state;

    record_action(events, action);
    if (action->type == HF_ACTION_FORGET && events->supervisor->generations[action->slot])
        find_spared(events, events->supervisor->generations[action->slot]);
    if (action->type == HF_ACTION_REPORT && action->report == HF_REPORT_UPGRADE_FAILED)
        hf_hooks_release(events->hooks);
    if (action->type == HF_ACTION_REPORT)
        hf_notices_report(&events->notices, events->supervisor, action);
}

static void events_stepped(void *state)
{
    const HfEvents *events = state;

    hf_sd_notify_state(events->notify);
}

static int events_captured(void *state, HfNotes *notes)
{
    const HfEvents *events = state;

    int r = hf_sd_notify_captured(events->notify, notes);

    r = r < 0 ? r : capture_spared(events, notes);
    return r < 0 ? r : hf_hooks_captured(events->hooks, notes);
}

static bool events_busy(void *state)
{
    return hf_hooks_hold(((HfEvents *)state)->hooks);
}

static void events_replacing(void *state, bool going)
{
    const HfEvents *events = state;

    if (!going)
        hf_hooks_release(events->hooks);
    if (going)
        hf_sd_notify_reloading(events->notify);
    else
        hf_sd_notify_again(events->notify);
}

/* Is it the user's command for an event? */
static bool events_owns(void *state, pid_t pid)
{
    const HfEvents *events = state;
    pid_t session = hf_hooks_session(events->hooks);

    return session > 0 && getsid(pid) == session;
}

static void on_hooks_finished(void *userdata)
{
    hf_supervisor_ended(userdata);
}

static const HfNoticeKind stopped = {"stopped", LOG_INFO, "ace665849809472eb3fbead5e586b929"};

static bool events_end(void *state)
{
    HfEvents *events = state;
    HfNoticeKind kind = stopped;

    if (events->supervisor->status != 0) /* it has been reported */
        kind.level = LOG_DEBUG;
    hf_notices_publish(&events->notices, &kind, 0, "", "stopped");
    return hf_hooks_finish(events->hooks, on_hooks_finished, events->supervisor) >= 0;
}

const HfPart hf_part_events = {
    .name = "events",
    .state_size = sizeof(HfEvents),
    .begin = events_begin,
    .claimed = events_claimed,
    .performed = events_performed,
    .stepped = events_stepped,
    .captured = events_captured,
    .busy = events_busy,
    .replacing = events_replacing,
    .owns = events_owns,
    .end = events_end,
    .clear = events_clear,
};
