/* SPDX-License-Identifier: MIT */
#include "parts/events/events.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
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

/* ---- the part ---- */

static void events_clear(void *state)
{
    HfEvents *events = state;

    hf_hooks_free(events->hooks);
    hf_sd_notify_free(events->notify);
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
    const HfEvents *events = state;

    (void)error;
    hf_sd_notify_claimed(events->notify);
    return hf_hooks_claimed(events->hooks);
}

static void events_performed(void *state, const HfAction *action)
{
    HfEvents *events = state;

    record_action(events, action);
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
