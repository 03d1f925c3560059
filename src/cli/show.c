#include "cli/show.h"

#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/terminal.h"
#include "format/quantity.h"

#define EVENTS_SHOWN 10

typedef unsigned long long Number;

static HfStyle style_of(const char *state)
{
    if (strcmp(state, "running") == 0 || strcmp(state, "active") == 0)
        return HF_STYLE_GOOD;
    if (strcmp(state, "outage") == 0 || strcmp(state, "retrying") == 0)
        return HF_STYLE_BAD;
    return HF_STYLE_BUSY;
}

static void add_ago(HfText *text, uint64_t moment)
{
    uint64_t now = hf_clock_realtime();

    hf_text_add_age(text, now > moment ? now - moment : 0);
}

void hf_show_line(const HfView *view, bool colors, HfText *text)
{
    hf_style_add(text, colors, HF_STYLE_HEADING, view->name);
    hf_text_add(text, ": ");
    hf_style_add(text, colors, style_of(view->state), view->state);
    if (view->generation > 0)
        hf_text_addf(text, ", generation %llu", (Number)view->generation);
    if (view->draining > 0)
        hf_text_addf(text, ", %u draining", view->draining);
    hf_text_addf(text, ", %zu listener%s", view->n_listeners, view->n_listeners == 1 ? "" : "s");
    hf_text_add(text, "\n");
}

/* The last replacement's cause is that of the active generation. */
static const char *last_cause(const HfView *view)
{
    for (size_t i = 0; i < view->n_generations; i++)
        if (view->generations[i].number == view->generation)
            return view->generations[i].cause;
    return NULL;
}

static void add_holdfast(const HfView *view, HfText *text)
{
    const char *cause = last_cause(view);

    hf_text_addf(text, "holdfast %s, pid %u, up ", view->version, view->pid);
    add_ago(text, view->started);
    if (view->replaced > 0) {
        hf_text_add(text, "; last replaced ");
        add_ago(text, view->replaced);
        hf_text_addf(text, " ago%s%s%s", cause ? " (" : "", cause ? cause : "", cause ? ")" : "");
    }
    if (view->failures > 0)
        hf_text_addf(text, "; %llu failure%s", (Number)view->failures,
                     view->failures == 1 ? "" : "s");
    hf_text_add(text, "\n");
}

static void add_heading(HfTable *table, const char *const *words)
{
    for (size_t i = 0; i < table->columns; i++)
        hf_table_add(table, "%s", words[i]);
}

static void add_generations(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"GENERATION", "STATE",     "CAUSE",  "PID",
                                          "AGE",        "PROCESSES", "MEMORY", "STATUS"};
    HF_CLEANUP_TABLE HfTable table = {
        .columns = 8, .right = 1 << 0 | 1 << 3 | 1 << 5, .colors = colors};

    if (view->n_generations == 0)
        return;
    add_heading(&table, heading);
    for (size_t i = 0; i < view->n_generations; i++) {
        const HfViewGeneration *generation = &view->generations[i];
        HF_CLEANUP_TEXT HfText age = {0};
        HF_CLEANUP_TEXT HfText memory = {0};
        bool staged = strcmp(generation->stage, "none") != 0;

        hf_text_add_age(&age, generation->age);
        hf_text_add_bytes_of(&memory, generation->memory);
        hf_table_add(&table, "%llu", (Number)generation->number);
        hf_table_add(&table, "%s%s%s%s", generation->state, staged ? " (" : "",
                     staged ? generation->stage : "", staged ? ")" : "");
        hf_table_add(&table, "%s", generation->cause);
        if (generation->pid > 0)
            hf_table_add(&table, "%u", generation->pid);
        else
            hf_table_add(&table, "-");
        hf_table_add_text(&table, &age);
        hf_table_add(&table, "%u", generation->processes);
        hf_table_add_text(&table, &memory);
        hf_table_add(&table, "%s", generation->status);
    }
    hf_text_add(text, "\n");
    hf_table_write(&table, text);
}

static void add_listeners(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"LISTENER", "ADDRESS", "QUEUE",
                                          "LIMIT",    "HIGHEST", "DROPPED"};
    HF_CLEANUP_TABLE HfTable table = {
        .columns = 6, .right = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5, .colors = colors};

    if (view->n_listeners == 0)
        return;
    add_heading(&table, heading);
    for (size_t i = 0; i < view->n_listeners; i++) {
        const HfViewListener *listener = &view->listeners[i];
        hf_table_add(&table, "%s", listener->name);
        hf_table_add(&table, "%s", listener->address);
        hf_table_add(&table, "%u", listener->depth);
        hf_table_add(&table, "%u", listener->limit);
        hf_table_add(&table, "%u", listener->highest);
        if (listener->drops >= 0)
            hf_table_add(&table, "%lld", (long long)listener->drops);
        else
            hf_table_add(&table, "-");
    }
    hf_text_add(text, "\n");
    hf_table_write(&table, text);
}

/* A service's own words may be several lines. */
static void add_event(const HfViewEvent *event, bool colors, HfText *text)
{
    HF_CLEANUP_TEXT HfText moment = {0};

    hf_moment_add(&moment, event->usec);
    hf_style_add(text, colors, HF_STYLE_FAINT, hf_text_peek(&moment));
    for (const char *rest = event->text; *rest;) {
        size_t length = strcspn(rest, "\n");
        hf_text_addf(text, "%s%.*s\n", rest == event->text ? "  " : "                     ",
                     (int)length, rest);
        rest += length + (rest[length] == '\n');
    }
}

void hf_show_status(const HfView *view, bool colors, HfText *text)
{
    size_t first = view->n_events > EVENTS_SHOWN ? view->n_events - EVENTS_SHOWN : 0;

    hf_show_line(view, colors, text);
    add_holdfast(view, text);
    add_generations(view, colors, text);
    add_listeners(view, colors, text);
    if (view->n_events > 0) {
        hf_text_add(text, "\n");
        hf_style_add(text, colors, HF_STYLE_HEADING, "LAST EVENTS");
        hf_text_add(text, "\n");
    }
    for (size_t i = first; i < view->n_events; i++)
        add_event(&view->events[i], colors, text);
}

void hf_show_history(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"GENERATION", "CAUSE",     "STARTED", "READY AFTER",
                                          "LIFETIME",   "PROCESSES", "END"};
    HF_CLEANUP_TABLE HfTable table = {.columns = 7, .right = 1 << 0 | 1 << 5, .colors = colors};

    add_heading(&table, heading);
    for (size_t i = 0; i < view->n_history; i++) {
        const HfViewPast *past = &view->history[i];
        HF_CLEANUP_TEXT HfText started = {0};
        HF_CLEANUP_TEXT HfText ready = {0};
        HF_CLEANUP_TEXT HfText lifetime = {0};

        hf_moment_add(&started, past->started);
        if (past->ready > 0)
            hf_text_add_time(&ready, past->ready_after);
        if (past->lifetime < HF_USEC_PER_SEC * 60)
            hf_text_add_time(&lifetime, past->lifetime);
        else
            hf_text_add_age(&lifetime, past->lifetime);
        hf_table_add(&table, "%llu", (Number)past->number);
        hf_table_add(&table, "%s", past->cause);
        hf_table_add_text(&table, &started);
        hf_table_add(&table, "%s", past->ready > 0 ? hf_text_peek(&ready) : "-");
        hf_table_add_text(&table, &lifetime);
        if (past->processes > 0)
            hf_table_add(&table, "%u", past->processes);
        else
            hf_table_add(&table, "-");
        hf_table_add(&table, "%s", past->ended > 0 ? past->end : "-");
    }
    hf_table_write(&table, text);
}

void hf_show_graph(const uint32_t *values, size_t n, HfText *text)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const uint64_t top = sizeof(bars) / sizeof(*bars) - 1;
    uint64_t highest = top; /* a few connections look like few */

    for (size_t i = 0; i < n; i++)
        if (values[i] > highest)
            highest = values[i];
    for (size_t i = 0; i < n; i++)
        hf_text_add(text, bars[(values[i] * top + highest - 1) / highest]);
}
