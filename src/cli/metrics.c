/* SPDX-License-Identifier: MIT */
/* Prometheus' text format 0.0.4, and OpenMetrics 1.0.0. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "format/http.h"

typedef unsigned long long Number;

typedef struct Metric {
    const char *name; /* behind "holdfast_" */
    const char *help;
    /* Adds the samples of one instance. */
    void (*add)(const char *name, const HfView *view, HfText *text);
} Metric;

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

/* Adds everything before the value. labels: pairs of key and value, NULL at the end. */
static void begin_sample(const char *name, const HfView *view, const char *const *labels,
                         HfText *text)
{
    hf_text_addf(text, "holdfast_%s{", name);
    add_label(text, "name", view->name);
    for (; *labels; labels += 2) {
        hf_text_add(text, ",");
        add_label(text, labels[0], labels[1]);
    }
    hf_text_add(text, "} ");
}

static void add_sample(const char *name, const HfView *view, const char *key, const char *value,
                       uint64_t number, HfText *text)
{
    begin_sample(name, view, (const char *const[]){key, value, NULL}, text);
    hf_text_addf(text, "%llu\n", (Number)number);
}

/* ---- metrics that are computed ---- */

static void add_version(const char *name, const HfView *view, HfText *text)
{
    add_sample(name, view, "version", view->version, 1, text);
}

static void add_state(const char *name, const HfView *view, HfText *text)
{
    static const char *const states[] = {"starting", "running", "replacing",
                                         "retrying", "outage",  "stopping"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        add_sample(name, view, "state", states[i], strcmp(states[i], view->state) == 0, text);
}

static void add_generations(const char *name, const HfView *view, HfText *text)
{
    static const char *const states[] = {"starting", "trial", "active", "parked", "draining"};

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        uint64_t n = 0;
        for (size_t j = 0; j < view->n_generations; j++)
            n += strcmp(view->generations[j].state, states[i]) == 0;
        add_sample(name, view, "state", states[i], n, text);
    }
}

static void add_processes(const char *name, const HfView *view, HfText *text)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < view->n_generations; i++)
        sum += view->generations[i].processes;
    add_sample(name, view, NULL, NULL, sum, text);
}

static void add_memory(const char *name, const HfView *view, HfText *text)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < view->n_generations; i++)
        sum += view->generations[i].memory;
    add_sample(name, view, NULL, NULL, sum, text);
}

static void add_causes(const char *name, const HfView *view, HfText *text)
{
    for (size_t i = 0; i < view->n_replacements; i++)
        add_sample(name, view, "cause", view->replacements[i].cause, view->replacements[i].count,
                   text);
}

static void add_age(const char *name, const HfView *view, HfText *text)
{
    uint64_t now = hf_clock_realtime();

    if (view->replaced == 0)
        return;
    begin_sample(name, view, (const char *const[]){NULL}, text);
    hf_view_add_seconds(text, now > view->replaced ? now - view->replaced : 0);
    hf_text_add(text, "\n");
}

static const Metric metrics[] = {
    {"info", "Version of holdfast, as a label; always 1.", add_version},
    {"state", "1 for the state that the instance is in.", add_state},
    {"generations", "Generations in each state.", add_generations},
    {"processes", "Processes of all generations.", add_processes},
    {"memory_bytes", "Anonymous memory (RssAnon) of the processes of all generations.", add_memory},
    {"restarts_total", "Generations that took the place of another, by what caused it.",
     add_causes},
    {"last_reload_age_seconds", "Seconds since a generation last took the place of another.",
     add_age},
};

/* ---- metrics that are fields of a table ---- */

/* Values that are unknown, or never happened, have no sample. */
static void add_field(const HfViewField *field, const HfViewField *row_fields, const void *row,
                      const HfView *view, HfText *text)
{
    const void *at = (const char *)row + field->offset;
    const char *labels[2 * HF_VIEW_FIELDS_MAX + 1] = {NULL};
    size_t n = 0;

    uint64_t number = field->type == 'u' ? *(const uint32_t *)at : *(const uint64_t *)at;
    if ((field->type == 'x' && *(const int64_t *)at < 0) ||
        (field->shown == HF_SHOWN_SECONDS && number == 0))
        return;
    for (; row_fields && row_fields->key; row_fields++)
        if (row_fields->type == 's' && row_fields->metric) {
            labels[n++] = row_fields->metric;
            labels[n++] = *(const char *const *)((const char *)row + row_fields->offset);
        }
    begin_sample(field->metric, view, labels, text);
    if (field->shown == HF_SHOWN_SECONDS)
        hf_view_add_seconds(text, number);
    else
        hf_text_addf(text, "%llu", (Number)number);
    hf_text_add(text, "\n");
}

static void add_rows(const HfViewList *list, const HfViewField *field, const HfView *view,
                     HfText *text)
{
    const char *row = *(char *const *)((const char *)view + list->rows);
    size_t n = *(const size_t *)((const char *)view + list->n_rows);

    for (size_t i = 0; i < n; i++, row += list->size)
        add_field(field, list->fields, row, view, text);
}

/* ---- the text ---- */

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    size_t n = strlen(suffix);

    return length >= n && strcmp(name + length - n, suffix) == 0;
}

/* OpenMetrics leaves out the suffix of counters and infos here, and declares units. */
static void add_comments(const char *name, const char *help, bool open, HfText *text)
{
    static const char *const units[] = {"seconds", "bytes"};
    bool total = ends_with(name, "_total");
    bool info = open && strcmp(name, "info") == 0;
    int length = (int)(strlen(name) - (open && total ? strlen("_total") : 0));
    HF_CLEANUP_TEXT HfText family = {0};

    hf_text_addf(&family, "holdfast%s%.*s", info ? "" : "_", info ? 0 : length, name);
    for (size_t i = 0; open && i < sizeof(units) / sizeof(*units); i++)
        if (ends_with(name, units[i]))
            hf_text_addf(text, "# UNIT %s %s\n", hf_text_peek(&family), units[i]);
    hf_text_addf(text, "# HELP %s %s\n# TYPE %s %s\n", hf_text_peek(&family), help,
                 hf_text_peek(&family),
                 total  ? "counter"
                 : info ? "info"
                        : "gauge");
}

/* All samples of a metric follow its comments, whatever their instance. */
static void add_family(const char *name, const char *help, bool open, const HfText *samples,
                       HfText *text)
{
    if (samples->length > 0)
        add_comments(name, help, open, text);
    hf_text_add(text, hf_text_peek(samples));
    hf_text_fail(text, samples->failed);
}

static void add_fields(const HfViewList *list, const HfViewField *field, const HfView *views,
                       size_t n, bool open, HfText *text)
{
    for (; field->key; field++) {
        HF_CLEANUP_TEXT HfText samples = {0};
        for (size_t i = 0; field->help && i < n; i++)
            if (list)
                add_rows(list, field, &views[i], &samples);
            else
                add_field(field, NULL, &views[i], &views[i], &samples);
        if (field->help)
            add_family(field->metric, field->help, open, &samples, text);
    }
}

void hf_view_add_metrics(const HfView *views, size_t n, bool open, HfText *text)
{
    for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
        HF_CLEANUP_TEXT HfText samples = {0};
        for (size_t j = 0; j < n; j++)
            metrics[i].add(metrics[i].name, &views[j], &samples);
        add_family(metrics[i].name, metrics[i].help, open, &samples, text);
    }
    add_fields(NULL, hf_view_properties, views, n, open, text);
    for (HfViewListName name = HF_VIEW_LISTENERS; name <= HF_VIEW_CACHES; name++)
        add_fields(&hf_view_lists[name], hf_view_lists[name].fields, views, n, open, text);
    if (open)
        hf_text_add(text, "# EOF\n");
}

/* ---- over HTTP ---- */

#define HEAD_MAX     8192 /* bytes of a request */
#define HEAD_TIMEOUT (5 * HF_USEC_PER_SEC)
#define ALL_TIMEOUT  30 /* seconds in all */

/* Reads the head of the request on standard input. Returns 0, or the status of an error answer. */
static unsigned read_head(char *head, HfHttpAsked *ret)
{
    uint64_t until = hf_clock_monotonic() + HEAD_TIMEOUT;
    size_t length = 0;
    int r = 0;

    while (r == 0 && length < HEAD_MAX) {
        struct pollfd polled = {STDIN_FILENO, POLLIN, 0};
        uint64_t now = hf_clock_monotonic();
        if (now >= until || poll(&polled, 1, (int)((until - now) / HF_USEC_PER_MSEC) + 1) <= 0)
            return 408;
        ssize_t n = read(STDIN_FILENO, head + length, HEAD_MAX - length);
        if (n <= 0)
            return 400;
        length += (size_t)n;
        r = hf_http_asked(head, length, ret);
    }
    return r > 0 ? 0 : r < 0 ? 400 : 431;
}

/* Adds the body of the answer to text. Returns its status. */
static unsigned make_page(const char *name, const HfHttpAsked *asked, HfText *text)
{
    static const char path[] = "/metrics";
    HF_CLEANUP_VIEWS HfViews views = {0};
    size_t length = asked->length;
    const char *query = memchr(asked->target, '?', length);
    bool several;

    if (!asked->get)
        return 405;
    length = query ? (size_t)(query - asked->target) : length;
    if (length != strlen(path) || memcmp(asked->target, path, length) != 0)
        return 404;
    int status = hf_views_read(name, &views, &several);
    if (views.n == 0 && status != HF_EXIT_NOT_RUNNING)
        return 503;
    hf_view_add_metrics(views.views, views.n, asked->open_metrics, text);
    return 200;
}

/* Closing it with unread input would reset the connection, and the answer would be lost. */
static void end_connection(char *buffer)
{
    struct pollfd polled = {STDIN_FILENO, POLLIN, 0};

    if (shutdown(STDOUT_FILENO, SHUT_WR) < 0)
        return;
    for (unsigned i = 0; i < 64 && poll(&polled, 1, 1000) > 0; i++)
        if (read(STDIN_FILENO, buffer, HEAD_MAX) <= 0)
            return;
}

/* One request on standard input, answered on standard output. */
static int serve_metrics(const char *name)
{
    static const struct {
        unsigned status;
        const char *words;
    } known[] = {{200, "OK"},
                 {400, "Bad Request"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {431, "Request Header Fields Too Large"},
                 {503, "Service Unavailable"}};
    char head[HEAD_MAX];
    HfHttpAsked asked = {0};
    HF_CLEANUP_TEXT HfText page = {0};
    HF_CLEANUP_TEXT HfText answer = {0};
    const char *words = "";

    alarm(ALL_TIMEOUT);
    unsigned status = read_head(head, &asked);
    if (status == 0)
        status = make_page(name, &asked, &page);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        words = known[i].status == status ? known[i].words : words;
    if (status != 200)
        hf_text_addf(&page, "%s\n", status == 404 ? "the figures are at /metrics" : words);
    hf_text_addf(&answer, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", status,
                 words,
                 status == 200 && asked.open_metrics
                     ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                     : "text/plain; version=0.0.4; charset=utf-8",
                 page.length);
    hf_text_addf(&answer, "%sVary: Accept\r\nConnection: close\r\n\r\n",
                 status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (!asked.head)
        hf_text_add(&answer, hf_text_peek(&page));
    hf_text_fail(&answer, page.failed);
    int ended = hf_terminal_print(&answer);
    end_connection(head);
    return ended;
}

int hf_cli_metrics(const HfCommandLine *line)
{
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    bool several;

    if (line->call.http)
        return serve_metrics(line->call.name);
    int worst = hf_views_read(line->call.name, &views, &several);
    hf_view_add_metrics(views.views, views.n, false, &text);
    int status = hf_terminal_print(&text);
    return status != HF_EXIT_DONE ? status : worst;
}
