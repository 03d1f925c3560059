/* Prometheus' text format 0.0.4. */
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"

typedef unsigned long long Number;

/* A metric that is being written: its name, and the instance that every sample names. */
typedef struct Metric {
    HfText *text;
    const char *name;
    const char *instance;
} Metric;

static Metric begin_metric(HfText *text, const HfView *view, const char *name, const char *type,
                           const char *help)
{
    hf_text_addf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    return (Metric){text, name, view->name};
}

static void add_label(HfText *text, const char *key, const char *value)
{
    hf_text_addf(text, "%s=\"", key);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            hf_text_addf(text, "\\%c", *value);
        else if (*value == '\n')
            hf_text_add(text, "\\n");
        else
            hf_text_add_bytes(text, value, 1);
    }
    hf_text_add(text, "\"");
}

/* Up to the value; keys of NULL are left out. */
static void add_labels(const Metric *metric, const char *key, const char *value, const char *key2,
                       const char *value2)
{
    hf_text_addf(metric->text, "%s{", metric->name);
    add_label(metric->text, "name", metric->instance);
    if (key) {
        hf_text_add(metric->text, ",");
        add_label(metric->text, key, value);
    }
    if (key2) {
        hf_text_add(metric->text, ",");
        add_label(metric->text, key2, value2);
    }
    hf_text_add(metric->text, "} ");
}

static void add_sample_of(const Metric *metric, const char *key, const char *value, uint64_t number)
{
    add_labels(metric, key, value, NULL, NULL);
    hf_text_addf(metric->text, "%llu\n", (Number)number);
}

/* A metric of one value. */
static void add_gauge(const HfView *view, HfText *text, const char *name, const char *help,
                      uint64_t number)
{
    const Metric metric = begin_metric(text, view, name, "gauge", help);

    add_sample_of(&metric, NULL, NULL, number);
}

static void add_gauge_of_seconds(const HfView *view, HfText *text, const char *name,
                                 const char *help, uint64_t usec)
{
    const Metric metric = begin_metric(text, view, name, "gauge", help);

    add_labels(&metric, NULL, NULL, NULL, NULL);
    hf_text_addf(text, "%llu.%06llu\n", (Number)(usec / HF_USEC_PER_SEC),
                 (Number)(usec % HF_USEC_PER_SEC));
}

static void add_instance_metrics(const HfView *view, HfText *text)
{
    static const char *const states[] = {"starting", "running", "replacing",
                                         "retrying", "outage",  "stopping"};
    Metric metric = begin_metric(text, view, "holdfast_info", "gauge",
                                 "Version of holdfast, as a label; always 1.");
    add_sample_of(&metric, "version", view->version, 1);

    metric = begin_metric(text, view, "holdfast_state", "gauge",
                          "1 for the state that the instance is in.");
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        add_sample_of(&metric, "state", states[i], strcmp(states[i], view->state) == 0);

    add_gauge_of_seconds(view, text, "holdfast_start_time_seconds",
                         "When holdfast was started, in seconds since 1970.", view->started);
}

static void add_generation_metrics(const HfView *view, HfText *text)
{
    static const char *const states[] = {"starting", "active", "draining"};
    uint64_t processes = 0;
    uint64_t memory = 0;

    for (size_t i = 0; i < view->n_generations; i++) {
        processes += view->generations[i].processes;
        memory += view->generations[i].memory;
    }
    add_gauge(view, text, "holdfast_generation", "Number of the active generation, 0 when none is.",
              view->generation);

    Metric metric =
        begin_metric(text, view, "holdfast_generations", "gauge", "Generations in each state.");
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        uint64_t n = 0;
        for (size_t j = 0; j < view->n_generations; j++)
            n += strcmp(view->generations[j].state, states[i]) == 0;
        add_sample_of(&metric, "state", states[i], n);
    }
    add_gauge(view, text, "holdfast_processes", "Processes of all generations.", processes);
    add_gauge(view, text, "holdfast_memory_bytes",
              "Anonymous memory (RssAnon) of the processes of all generations.", memory);
}

static void add_replacement_metrics(const HfView *view, uint64_t now, HfText *text)
{
    Metric metric = begin_metric(text, view, "holdfast_restarts_total", "counter",
                                 "Generations that took the place of another, by what caused it.");
    for (size_t i = 0; i < view->n_replacements; i++)
        add_sample_of(&metric, "cause", view->replacements[i].cause, view->replacements[i].count);

    metric = begin_metric(text, view, "holdfast_start_failures_total", "counter",
                          "Starts and replacements that failed.");
    add_sample_of(&metric, NULL, NULL, view->failures);

    if (view->replaced > 0) {
        add_gauge_of_seconds(
            view, text, "holdfast_last_reload_timestamp_seconds",
            "When a generation last took the place of another, in seconds since 1970.",
            view->replaced);
        add_gauge_of_seconds(view, text, "holdfast_last_reload_age_seconds",
                             "Seconds since a generation last took the place of another.",
                             now > view->replaced ? now - view->replaced : 0);
    }
    if (view->ready_after > 0)
        add_gauge_of_seconds(view, text, "holdfast_ready_seconds",
                             "How long the last start took until it was ready.", view->ready_after);
}

static void add_queue_metric(const HfView *view, HfText *text, const char *name, const char *help,
                             size_t offset)
{
    const Metric metric = begin_metric(text, view, name, "gauge", help);

    for (size_t i = 0; i < view->n_listeners; i++) {
        const HfViewListener *listener = &view->listeners[i];
        uint32_t number;
        memcpy(&number, (const char *)listener + offset, sizeof(number));
        add_labels(&metric, "listener", listener->name, "address", listener->address);
        hf_text_addf(text, "%u\n", number);
    }
}

static void add_drop_metric(const HfView *view, HfText *text)
{
    const Metric metric =
        begin_metric(text, view, "holdfast_listen_drops_total", "counter",
                     "Connections that the kernel dropped at a TCP listener, as when "
                     "its queue is full.");

    for (size_t i = 0; i < view->n_listeners; i++) {
        const HfViewListener *listener = &view->listeners[i];
        if (listener->drops < 0)
            continue;
        add_labels(&metric, "listener", listener->name, "address", listener->address);
        hf_text_addf(text, "%lld\n", (long long)listener->drops);
    }
}

static void add_metrics(const HfView *view, uint64_t now, HfText *text)
{
    add_instance_metrics(view, text);
    add_generation_metrics(view, text);
    add_replacement_metrics(view, now, text);
    add_queue_metric(view, text, "holdfast_queue_depth", "Connections that wait to be accepted.",
                     offsetof(HfViewListener, depth));
    add_queue_metric(view, text, "holdfast_queue_limit",
                     "Connections that may wait to be accepted.", offsetof(HfViewListener, limit));
    add_queue_metric(view, text, "holdfast_queue_highest",
                     "Most connections that were seen to wait, of the times that somebody looked.",
                     offsetof(HfViewListener, highest));
    add_drop_metric(view, text);
}

int hf_cli_metrics(const HfCommandLine *line)
{
    HF_CLEANUP_VIEW HfView view = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int status = hf_view_of(line->call.name, hf_view_read, &view);
    if (status != HF_EXIT_DONE)
        return status;
    add_metrics(&view, hf_clock_realtime(), &text);
    return hf_terminal_print(&text);
}
