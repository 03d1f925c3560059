/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "cli/client.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"

#define EVENTS_SHOWN 10
#define SAMPLES      60 /* seconds that a graph shows */

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

static void add_summary(const HfView *view, bool colors, HfText *text)
{
    hf_style_add(text, colors, HF_STYLE_HEADING, view->name);
    hf_text_add(text, ": ");
    hf_style_add(text, colors, style_of(view->state), view->state);
    if (view->generation > 0)
        hf_text_addf(text, ", generation %llu", (Number)view->generation);
    if (view->draining > 0)
        hf_text_addf(text, ", %u draining", view->draining);
    hf_text_addf(text, ", %zu listener%s\n", view->n_listeners, view->n_listeners == 1 ? "" : "s");
}

static void add_hold(const HfView *view, HfText *text)
{
    uint64_t now = hf_clock_realtime();

    if (view->held_until == 0)
        return;
    if (view->held_until > now) {
        hf_text_add(text, "New connections wait, for ");
        hf_text_add_age(text, view->held_until - now);
        hf_text_add(text, " more at most, until `holdfast release`\n");
    } else {
        hf_text_add(
            text, "New connections are refused until `holdfast release`: the hold has timed out\n");
    }
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

static void add_generation_table(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"GENERATION", "STATE",     "CAUSE",  "PID",
                                          "AGE",        "PROCESSES", "MEMORY", "STATUS"};
    HF_CLEANUP_TABLE HfTable table = {
        .columns = 8, .right = 1 << 0 | 1 << 3 | 1 << 5, .colors = colors};

    if (view->n_generations == 0)
        return;
    hf_table_add_row(&table, heading);
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

static void add_listener_table(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"LISTENER", "ADDRESS", "QUEUE",
                                          "LIMIT",    "HIGHEST", "DROPPED"};
    HF_CLEANUP_TABLE HfTable table = {
        .columns = 6, .right = 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5, .colors = colors};

    if (view->n_listeners == 0)
        return;
    hf_table_add_row(&table, heading);
    for (size_t i = 0; i < view->n_listeners; i++) {
        const HfViewListener *listener = &view->listeners[i];
        hf_table_add(&table, "%s", listener->name);
        hf_table_add(&table, "%s%s", listener->address,
                     strcmp(listener->kind, "lost") == 0 ? " (lost)" : "");
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
    for (size_t i = 0; i < view->n_listeners; i++)
        if (view->listeners[i].standby_depth > 0)
            hf_text_addf(text, "%u more wait at the other side of %s\n",
                         view->listeners[i].standby_depth, view->listeners[i].address);
}

static void add_known(HfTable *table, int64_t number)
{
    if (number >= 0)
        hf_table_add(table, "%lld", (long long)number);
    else
        hf_table_add(table, "-");
}

static void add_pool_table(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"POOL",     "ACTIVE", "IDLE", "MOST",       "QUEUE",
                                          "ACCEPTED", "FULL",   "SLOW", "MEMORY PEAK"};
    HF_CLEANUP_TABLE HfTable table = {.columns = 9, .right = 0x1fe, .colors = colors};

    if (view->n_pools == 0)
        return;
    hf_table_add_row(&table, heading);
    for (size_t i = 0; i < view->n_pools; i++) {
        const HfViewPool *pool = &view->pools[i];
        const int64_t numbers[] = {pool->active,   pool->idle,         pool->limit, pool->queue,
                                   pool->accepted, pool->max_children, pool->slow};
        HF_CLEANUP_TEXT HfText peak = {0};
        hf_table_add(&table, "%s", pool->name);
        for (size_t j = 0; j < sizeof(numbers) / sizeof(*numbers); j++)
            add_known(&table, numbers[j]);
        if (pool->memory_peak >= 0)
            hf_text_add_bytes_of(&peak, (uint64_t)pool->memory_peak);
        else
            hf_text_add(&peak, "-");
        hf_table_add_text(&table, &peak);
    }
    hf_text_add(text, "\n");
    hf_table_write(&table, text);
    for (size_t i = 0; i < view->n_pools; i++)
        if (view->pools[i].error[0])
            hf_text_addf(text, "no figures from %s: %s\n", view->pools[i].name,
                         view->pools[i].error);
}

static void add_caches(const HfView *view, HfText *text)
{
    for (size_t i = 0; i < view->n_caches; i++) {
        const HfViewCache *cache = &view->caches[i];
        int64_t asked = cache->hits + cache->misses;
        if (cache->error[0]) {
            hf_text_addf(text, "\nNo figures from the opcode cache: %s\n", cache->error);
            continue;
        }
        hf_text_addf(text, "\nThe opcode cache: %lld scripts, ", (long long)cache->scripts);
        hf_text_add_bytes_of(text, (uint64_t)(cache->used + cache->wasted));
        hf_text_add(text, " of ");
        hf_text_add_bytes_of(text, (uint64_t)(cache->used + cache->wasted + cache->free));
        hf_text_add(text, " (wasted ");
        hf_text_add_bytes_of(text, (uint64_t)cache->wasted);
        hf_text_addf(text, "), %lld%% hits, emptied %lld times because it was full\n",
                     (long long)(asked > 0 ? cache->hits * 100 / asked : 0),
                     (long long)cache->full_restarts);
    }
}

/* The text may contain several lines of a service's output. */
static void add_event(const HfViewEvent *event, bool colors, HfText *text)
{
    HF_CLEANUP_TEXT HfText moment = {0};

    hf_moment_add(&moment, event->time);
    hf_style_add(text, colors, HF_STYLE_FAINT, hf_text_peek(&moment));
    for (const char *rest = event->text; *rest;) {
        size_t length = strcspn(rest, "\n");
        hf_text_addf(text, "%s%.*s\n", rest == event->text ? "  " : "                     ",
                     (int)length, rest);
        rest += length + (rest[length] == '\n');
    }
}

static void add_tables(const HfView *view, bool colors, HfText *text)
{
    add_summary(view, colors, text);
    add_holdfast(view, text);
    add_hold(view, text);
    if (view->spared[0])
        hf_text_addf(text, "Left alone: %s\n", view->spared);
    add_generation_table(view, colors, text);
    add_listener_table(view, colors, text);
    add_pool_table(view, colors, text);
    add_caches(view, text);
}

static void add_handover(const HfView *view, HfText *text)
{
    if (!view->handover[0])
        return;
    hf_text_addf(text, "\nA reload hands over by %s", view->handover);
    for (size_t i = 0; i < view->n_listeners; i++)
        if (view->listeners[i].one_side[0]) {
            hf_text_addf(text, ": %s has one side, %s", view->listeners[i].address,
                         view->listeners[i].one_side);
            break;
        }
    hf_text_add(text, "\n");
}

static void add_warm_up(const HfView *view, HfText *text)
{
    if (view->warm_listed == 0 && view->warm_requests == 0)
        return;
    hf_text_addf(text, "The last warm-up: %llu of %llu scripts, %llu requests",
                 (Number)view->warm_scripts, (Number)view->warm_listed,
                 (Number)view->warm_requests);
    if (view->warm_failures > 0)
        hf_text_addf(text, " (%llu failed)", (Number)view->warm_failures);
    hf_text_add(text, ", in ");
    hf_text_add_time(text, view->warm_time);
    hf_text_add(text, "\n");
}

static void add_times(const HfView *view, HfText *text)
{
    if (view->switched_after == 0)
        return;
    hf_text_add(text, "The last replacement: ");
    hf_text_add_time(text, view->switched_after);
    hf_text_add(text, " from the request until it served");
    if (view->gone_after > 0) {
        hf_text_add(text, ", ");
        hf_text_add_time(text, view->gone_after);
        hf_text_add(text, " more until the one before was gone");
    }
    hf_text_add(text, "\n");
}

static void add_events(const HfView *view, bool colors, HfText *text)
{
    add_handover(view, text);
    add_times(view, text);
    add_warm_up(view, text);
    size_t first = view->n_events > EVENTS_SHOWN ? view->n_events - EVENTS_SHOWN : 0;

    if (view->n_events > 0) {
        hf_text_add(text, "\n");
        hf_style_add(text, colors, HF_STYLE_HEADING, "LAST EVENTS");
        hf_text_add(text, "\n");
    }
    for (size_t i = first; i < view->n_events; i++)
        add_event(&view->events[i], colors, text);
}

/* The queue of one listener. */
typedef struct Trace {
    char *address;
    uint32_t samples[SAMPLES];
    size_t n;
} Trace;

typedef struct Watch {
    sd_bus *bus;
    bool json;
    bool terminal;
    bool colors;
    HfText shown;  /* on the terminal, truncated to fit */
    Trace *traces; /* in the order in which their listeners were first seen */
    size_t n_traces;
    size_t capacity;
} Watch;

/* Switches to the alternate screen, without a cursor or line wrapping. */
static const char enter_screen[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave_screen[] = "\033[?7h\033[?25h\033[?1049l";

static volatile sig_atomic_t on_screen;
static volatile sig_atomic_t resized;

static void restore_screen(void)
{
    if (on_screen && write(STDOUT_FILENO, leave_screen, sizeof(leave_screen) - 1) > 0)
        on_screen = false;
}

/* At once, whatever it waits for. */
static void on_end(int signal)
{
    (void)signal;
    restore_screen();
    _exit(HF_EXIT_DONE);
}

static void on_resize(int signal)
{
    (void)signal;
    resized = true;
}

static void handle_signals(void)
{
    static const struct sigaction end = {.sa_handler = on_end};
    static const struct sigaction resize = {.sa_handler = on_resize};

    sigaction(SIGINT, &end, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
    sigaction(SIGWINCH, &resize, NULL);
}

static Trace *find_trace(Watch *watch, const char *address)
{
    for (size_t i = 0; i < watch->n_traces; i++)
        if (strcmp(watch->traces[i].address, address) == 0)
            return &watch->traces[i];
    char *copy = strdup(address);
    if (!copy || hf_array_reserve(&watch->traces, &watch->capacity, watch->n_traces + 1,
                                  sizeof(*watch->traces)) < 0) {
        free(copy);
        return NULL;
    }
    Trace *trace = &watch->traces[watch->n_traces++];
    *trace = (Trace){.address = copy};
    return trace;
}

static void add_sample(Trace *trace, uint32_t depth)
{
    if (trace->n == SAMPLES) {
        memmove(trace->samples, trace->samples + 1, (SAMPLES - 1) * sizeof(*trace->samples));
        trace->n--;
    }
    trace->samples[trace->n++] = depth;
}

/* Adds n values as bars of one character each. */
static void add_bars(const uint32_t *values, size_t n, HfText *text)
{
    static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const uint64_t top = sizeof(bars) / sizeof(*bars) - 1;
    uint64_t highest = top; /* so that few connections look few */

    for (size_t i = 0; i < n; i++)
        if (values[i] > highest)
            highest = values[i];
    for (size_t i = 0; i < n; i++)
        hf_text_add(text, bars[(values[i] * top + highest - 1) / highest]);
}

static void add_graphs(Watch *watch, const HfView *view, HfText *text)
{
    HF_CLEANUP_TABLE HfTable table = {.columns = 3, .right = 1 << 1, .colors = watch->colors};

    hf_table_add(&table, "QUEUE");
    hf_table_add(&table, "NOW");
    hf_table_add(&table, "LAST %d SECONDS", SAMPLES);
    for (size_t i = 0; i < view->n_listeners; i++) {
        const HfViewListener *listener = &view->listeners[i];
        Trace *trace = find_trace(watch, listener->address);
        HF_CLEANUP_TEXT HfText graph = {0};
        if (!trace)
            continue;
        add_sample(trace, listener->depth);
        add_bars(trace->samples, trace->n, &graph);
        hf_table_add(&table, "%s%s", listener->address,
                     strcmp(listener->kind, "lost") == 0 ? " (lost)" : "");
        hf_table_add(&table, "%u", listener->depth);
        hf_table_add_text(&table, &graph);
    }
    hf_text_add(text, "\n");
    hf_table_write(&table, text);
}

/* Draws over the last picture in one write, so that nothing flickers. */
static int draw(const Watch *watch)
{
    HF_CLEANUP_TEXT HfText text = {0};
    size_t columns;
    size_t rows;

    hf_terminal_size(STDOUT_FILENO, &columns, &rows);
    hf_text_add(&text, "\033[H");
    hf_terminal_clip(hf_text_peek(&watch->shown), columns, rows, "\033[K", &text);
    hf_text_add(&text, "\033[J");
    return hf_terminal_print(&text) == HF_EXIT_DONE ? 0 : -EIO;
}

static int show_again(Watch *watch)
{
    HF_CLEANUP_VIEW HfView view = {0};

    int r = hf_view_read(watch->bus, &view);
    if (r < 0)
        return r;
    hf_text_clear(&watch->shown);
    if (watch->json) {
        hf_view_add_json(&view, &watch->shown);
    } else {
        add_tables(&view, watch->colors, &watch->shown);
        add_graphs(watch, &view, &watch->shown);
        add_events(&view, watch->colors, &watch->shown);
        hf_text_add(&watch->shown, watch->terminal ? "" : "\n");
    }
    if (watch->terminal)
        return draw(watch);
    return hf_terminal_print(&watch->shown) == HF_EXIT_DONE ? 0 : -EIO;
}

/* Returns negative errno when the instance has ended. */
static int wait_a_second(const Watch *watch)
{
    uint64_t until = hf_clock_monotonic() + HF_USEC_PER_SEC;
    int r = 0;

    for (uint64_t now; r >= 0 && (now = hf_clock_monotonic()) < until;) {
        if (watch->terminal && resized) {
            resized = false;
            r = draw(watch);
        }
        if (r >= 0)
            r = sd_bus_process(watch->bus, NULL);
        if (r == 0)
            r = sd_bus_wait(watch->bus, until - now);
        if (r == -EINTR)
            r = 0;
    }
    return r;
}

/* Runs until the instance or the user ends it. Returns an exit status. */
static int run_watch(Watch *watch)
{
    int r = 0;

    handle_signals();
    on_screen = watch->terminal && write(STDOUT_FILENO, enter_screen, sizeof(enter_screen) - 1) > 0;
    while (r >= 0) {
        r = show_again(watch);
        if (r >= 0)
            r = wait_a_second(watch);
    }
    restore_screen();
    if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE)
        return HF_EXIT_DONE;
    if (r != -EIO) /* which has been logged already */
        hf_log(LOG_ERR, NULL, "the instance no longer answers: %s", strerror(-r));
    return HF_EXIT_FAILED;
}

static int watch_instance(const char *name, bool json)
{
    HF_CLEANUP_INSTANCE HfInstance instance = {0};
    Watch watch = {
        .json = json,
        .terminal = !json && hf_terminal_is(STDOUT_FILENO),
        .colors = hf_terminal_has_colors(STDOUT_FILENO),
    };

    int status = hf_client_connect_or_log(name, &instance);
    if (status != HF_EXIT_DONE)
        return status;
    watch.bus = instance.bus;
    status = run_watch(&watch);
    for (size_t i = 0; i < watch.n_traces; i++)
        free(watch.traces[i].address);
    free(watch.traces);
    hf_text_clear(&watch.shown);
    return status;
}

int hf_cli_status(const HfCommandLine *line)
{
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    bool colors = hf_terminal_has_colors(STDOUT_FILENO);
    bool several;

    if (line->call.watch)
        return watch_instance(line->call.name, line->call.json);
    int worst = hf_views_read(line->call.name, &views, &several);
    for (size_t i = 0; i < views.n; i++) {
        if (line->call.json) {
            hf_view_add_json(&views.views[i], &text);
        } else if (several) {
            add_summary(&views.views[i], colors, &text);
        } else {
            add_tables(&views.views[i], colors, &text);
            add_events(&views.views[i], colors, &text);
        }
    }
    int status = hf_terminal_print(&text);
    return status != HF_EXIT_DONE ? status : worst;
}

/* ---- holdfast history ---- */

static void add_history(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"GENERATION", "CAUSE",     "STARTED", "READY AFTER",
                                          "LIFETIME",   "PROCESSES", "END"};
    HF_CLEANUP_TABLE HfTable table = {.columns = 7, .right = 1 << 0 | 1 << 5, .colors = colors};

    hf_table_add_row(&table, heading);
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

int hf_cli_history(const HfCommandLine *line)
{
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int status = hf_views_read_history(line->call.name, &views);
    if (status != HF_EXIT_DONE)
        return status;
    if (line->call.json)
        hf_view_add_history_json(views.views, &text);
    else
        add_history(views.views, hf_terminal_has_colors(STDOUT_FILENO), &text);
    return hf_terminal_print(&text);
}
