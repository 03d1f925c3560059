#include "cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "cli/look.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

#define SAMPLES 60 /* seconds that the graph shows */

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
    Trace *traces; /* in the order in which their listeners were first seen */
    size_t n_traces;
    size_t capacity;
} Watch;

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    (void)info;
    (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), HF_EXIT_DONE);
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
        hf_show_graph(trace->samples, trace->n, &graph);
        hf_table_add(&table, "%s", listener->address);
        hf_table_add(&table, "%u", listener->depth);
        hf_table_add_text(&table, &graph);
    }
    hf_text_add(text, "\n");
    hf_table_write(&table, text);
}

static int show(Watch *watch)
{
    HF_CLEANUP_VIEW HfView view = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int r = hf_view_read(watch->bus, &view);
    if (r < 0)
        return r;
    if (watch->json) {
        hf_show_status_json(&view, &text);
    } else {
        /* written over the block before, so that nothing flickers */
        hf_text_add(&text, watch->terminal ? "\033[H\033[2J" : "");
        hf_show_status(&view, watch->colors, &text);
        add_graphs(watch, &view, &text);
        hf_text_add(&text, watch->terminal ? "" : "\n");
    }
    return hf_terminal_print(&text) == HF_EXIT_DONE ? 0 : -EIO;
}

static int on_second(sd_event_source *source, uint64_t usec, void *userdata)
{
    sd_event *loop = sd_event_source_get_event(source);
    Watch *watch = userdata;

    int r = show(watch);
    if (r >= 0)
        r = sd_event_source_set_time(source, usec + HF_USEC_PER_SEC);
    if (r >= 0)
        r = sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    if (r < 0) /* the instance has ended, or nobody reads any more */
        return sd_event_exit(loop, r == -EIO ? HF_EXIT_FAILED : HF_EXIT_DONE);
    return 0;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)message;
    (void)unused;
    return sd_event_exit(userdata, HF_EXIT_DONE);
}

static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

static int run(Watch *watch, sd_event *loop)
{
    int r = block_signals();
    if (r >= 0)
        r = sd_event_add_signal(loop, NULL, SIGINT, on_signal, NULL);
    if (r >= 0)
        r = sd_event_add_signal(loop, NULL, SIGTERM, on_signal, NULL);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, NULL, CLOCK_MONOTONIC, 0, 1, on_second, watch);
    if (r >= 0)
        r = sd_bus_attach_event(watch->bus, loop, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_match_signal(watch->bus, NULL, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, loop);
    if (r >= 0)
        r = sd_event_loop(loop);
    sd_bus_detach_event(watch->bus);
    return r;
}

int hf_inputs_status(const char *name, bool json)
{
    __attribute__((cleanup(sd_event_unrefp))) sd_event *loop = NULL;
    HF_CLEANUP_BUS sd_bus *bus = NULL;
    HF_CLEANUP_TEXT HfText error = {0};
    Watch watch = {
        .json = json,
        .terminal = !json && hf_terminal_is(STDOUT_FILENO),
        .colors = hf_terminal_has_colors(STDOUT_FILENO),
    };

    int status = hf_client_connect(name, &bus, &error);
    if (status != HF_EXIT_DONE) {
        hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
        return status;
    }
    watch.bus = bus;
    int r = sd_event_new(&loop);
    if (r >= 0)
        r = run(&watch, loop);
    for (size_t i = 0; i < watch.n_traces; i++)
        free(watch.traces[i].address);
    free(watch.traces);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "the instance cannot be watched: %s", strerror(-r));
        return HF_EXIT_FAILED;
    }
    return r;
}
