#include "parts/events/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

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
    if (entry->cause != HF_CAUSE_START)
        history->replaced_at = entry->ready;
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
