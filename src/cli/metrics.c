/* SPDX-License-Identifier: MIT */
/* Prometheus' text format 0.0.4. */
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"

typedef unsigned long long Number;

typedef struct Metric Metric;
struct Metric {
    const char *name;
    const char *type;
    const char *help;
    /* The samples of one instance. */
    void (*add)(const Metric *metric, const HfView *view, HfText *text);
    size_t offset; /* of the field, for an add that shows one */
};

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

/* Up to the value. labels: pairs of key and value, up to a NULL. */
static void begin_sample(const Metric *metric, const HfView *view, const char *const *labels,
                         HfText *text)
{
    hf_text_addf(text, "%s{", metric->name);
    add_label(text, "name", view->name);
    for (; *labels; labels += 2) {
        hf_text_add(text, ",");
        add_label(text, labels[0], labels[1]);
    }
    hf_text_add(text, "} ");
}
#define NO_LABEL ((const char *const[]){NULL})

static void add_sample(const Metric *metric, const HfView *view, const char *key, const char *value,
                       uint64_t number, HfText *text)
{
    begin_sample(metric, view, (const char *const[]){key, value, NULL}, text);
    hf_text_addf(text, "%llu\n", (Number)number);
}

static void add_seconds(const Metric *metric, const HfView *view, uint64_t usec, HfText *text)
{
    begin_sample(metric, view, NO_LABEL, text);
    hf_text_addf(text, "%llu.%06llu\n", (Number)(usec / HF_USEC_PER_SEC),
                 (Number)(usec % HF_USEC_PER_SEC));
}

static uint64_t field_of(const Metric *metric, const void *row)
{
    uint64_t number;

    memcpy(&number, (const char *)row + metric->offset, sizeof(number));
    return number;
}

static void add_number(const Metric *metric, const HfView *view, HfText *text)
{
    add_sample(metric, view, NULL, NULL, field_of(metric, view), text);
}

/* Nothing while it is 0. */
static void add_time(const Metric *metric, const HfView *view, HfText *text)
{
    uint64_t usec = field_of(metric, view);

    if (usec > 0)
        add_seconds(metric, view, usec, text);
}

/* Nothing until there was a warm-up. */
static void add_warmed(const Metric *metric, const HfView *view, HfText *text)
{
    if (view->warm_time > 0)
        add_number(metric, view, text);
}

static void add_age(const Metric *metric, const HfView *view, HfText *text)
{
    uint64_t moment = field_of(metric, view);
    uint64_t now = hf_clock_realtime();

    if (moment > 0)
        add_seconds(metric, view, now > moment ? now - moment : 0, text);
}

static void add_version(const Metric *metric, const HfView *view, HfText *text)
{
    add_sample(metric, view, "version", view->version, 1, text);
}

static void add_state(const Metric *metric, const HfView *view, HfText *text)
{
    static const char *const states[] = {"starting", "running", "replacing",
                                         "retrying", "outage",  "stopping"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        add_sample(metric, view, "state", states[i], strcmp(states[i], view->state) == 0, text);
}

static void add_generations(const Metric *metric, const HfView *view, HfText *text)
{
    static const char *const states[] = {"starting", "active", "draining"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        uint64_t n = 0;
        for (size_t j = 0; j < view->n_generations; j++)
            n += strcmp(view->generations[j].state, states[i]) == 0;
        add_sample(metric, view, "state", states[i], n, text);
    }
}

static void add_processes(const Metric *metric, const HfView *view, HfText *text)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < view->n_generations; i++)
        sum += view->generations[i].processes;
    add_sample(metric, view, NULL, NULL, sum, text);
}

static void add_memory(const Metric *metric, const HfView *view, HfText *text)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < view->n_generations; i++)
        sum += view->generations[i].memory;
    add_sample(metric, view, NULL, NULL, sum, text);
}

static void add_causes(const Metric *metric, const HfView *view, HfText *text)
{
    for (size_t i = 0; i < view->n_replacements; i++)
        add_sample(metric, view, "cause", view->replacements[i].cause, view->replacements[i].count,
                   text);
}

static void begin_listener_sample(const Metric *metric, const HfView *view,
                                  const HfViewListener *listener, HfText *text)
{
    begin_sample(
        metric, view,
        (const char *const[]){"listener", listener->name, "address", listener->address, NULL},
        text);
}

static void add_queues(const Metric *metric, const HfView *view, HfText *text)
{
    for (size_t i = 0; i < view->n_listeners; i++) {
        uint32_t number;
        memcpy(&number, (const char *)&view->listeners[i] + metric->offset, sizeof(number));
        begin_listener_sample(metric, view, &view->listeners[i], text);
        hf_text_addf(text, "%u\n", number);
    }
}

static void add_drops(const Metric *metric, const HfView *view, HfText *text)
{
    for (size_t i = 0; i < view->n_listeners; i++) {
        if (view->listeners[i].drops < 0)
            continue;
        begin_listener_sample(metric, view, &view->listeners[i], text);
        hf_text_addf(text, "%lld\n", (long long)view->listeners[i].drops);
    }
}

static const Metric metrics[] = {
    {"holdfast_info", "gauge", "Version of holdfast, as a label; always 1.", add_version, 0},
    {"holdfast_state", "gauge", "1 for the state that the instance is in.", add_state, 0},
    {"holdfast_start_time_seconds", "gauge", "When holdfast was started, in seconds since 1970.",
     add_time, offsetof(HfView, started)},
    {"holdfast_generation", "gauge", "Number of the active generation, 0 when none is.", add_number,
     offsetof(HfView, generation)},
    {"holdfast_generations", "gauge", "Generations in each state.", add_generations, 0},
    {"holdfast_processes", "gauge", "Processes of all generations.", add_processes, 0},
    {"holdfast_memory_bytes", "gauge",
     "Anonymous memory (RssAnon) of the processes of all generations.", add_memory, 0},
    {"holdfast_restarts_total", "counter",
     "Generations that took the place of another, by what caused it.", add_causes, 0},
    {"holdfast_start_failures_total", "counter", "Starts and replacements that failed.", add_number,
     offsetof(HfView, failures)},
    {"holdfast_last_reload_timestamp_seconds", "gauge",
     "When a generation last took the place of another, in seconds since 1970.", add_time,
     offsetof(HfView, replaced)},
    {"holdfast_last_reload_age_seconds", "gauge",
     "Seconds since a generation last took the place of another.", add_age,
     offsetof(HfView, replaced)},
    {"holdfast_ready_seconds", "gauge", "How long the last start took until it was ready.",
     add_time, offsetof(HfView, ready_after)},
    {"holdfast_warm_up_scripts", "gauge", "Scripts that the last warm-up has compiled.", add_warmed,
     offsetof(HfView, warm_scripts)},
    {"holdfast_warm_up_requests", "gauge", "Requests and commands of the last warm-up.", add_warmed,
     offsetof(HfView, warm_requests)},
    {"holdfast_warm_up_failures", "gauge", "How many of those failed.", add_warmed,
     offsetof(HfView, warm_failures)},
    {"holdfast_warm_up_seconds", "gauge", "How long the last warm-up took.", add_time,
     offsetof(HfView, warm_time)},
    {"holdfast_late_connections_total", "counter",
     "Connections that were carried over from a side that nobody serves any more.", add_number,
     offsetof(HfView, late_connections)},
    {"holdfast_queue_depth", "gauge", "Connections that wait to be accepted.", add_queues,
     offsetof(HfViewListener, depth)},
    {"holdfast_queue_limit", "gauge", "Connections that may wait to be accepted.", add_queues,
     offsetof(HfViewListener, limit)},
    {"holdfast_queue_highest", "gauge",
     "Most connections that were seen to wait, of the times that somebody looked.", add_queues,
     offsetof(HfViewListener, highest)},
    {"holdfast_standby_queue_depth", "gauge",
     "Connections that wait at the side that gets no new ones.", add_queues,
     offsetof(HfViewListener, standby_depth)},
    {"holdfast_standby_queue_limit", "gauge",
     "Connections that may wait there; 0 for a listener with one side.", add_queues,
     offsetof(HfViewListener, standby_limit)},
    {"holdfast_listen_drops_total", "counter",
     "Connections that the kernel dropped at a TCP listener, as when its queue is full.", add_drops,
     0},
};

/* All samples of a metric follow its two lines of comment, whichever instances they are of. */
void hf_view_add_metrics(const HfView *views, size_t n, HfText *text)
{
    for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
        const Metric *metric = &metrics[i];
        HF_CLEANUP_TEXT HfText samples = {0};
        for (size_t j = 0; j < n; j++)
            metric->add(metric, &views[j], &samples);
        if (samples.length > 0)
            hf_text_addf(text, "# HELP %s %s\n# TYPE %s %s\n%s", metric->name, metric->help,
                         metric->name, metric->type, hf_text_peek(&samples));
        hf_text_fail(text, samples.failed);
    }
}

int hf_cli_metrics(const HfCommandLine *line)
{
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    bool several;

    int worst = hf_views_read(line->call.name, &views, &several);
    hf_view_add_metrics(views.views, views.n, &text);
    int status = hf_terminal_print(&text);
    return status != HF_EXIT_DONE ? status : worst;
}
