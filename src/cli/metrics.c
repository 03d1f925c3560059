/* SPDX-License-Identifier: MIT */
/* Prometheus' text format 0.0.4, and OpenMetrics 1.0.0. */
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"

typedef unsigned long long Number;

typedef struct Metric {
    const char *name; /* behind "holdfast_" */
    const char *help;
    /* The samples of one instance. */
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

/* Up to the value. labels: pairs of key and value, up to a NULL. */
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

/* ---- what is not as it is told ---- */

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

/* ---- a field of a table ---- */

/* What is not known, or has not happened, has no sample. */
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

/* In OpenMetrics counters and infos are called without their suffix, and units are told. */
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

/* All samples of a metric follow its comments, whichever instances they are of. */
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

int hf_cli_metrics(const HfCommandLine *line)
{
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    bool several;

    int worst = hf_views_read(line->call.name, &views, &several);
    hf_view_add_metrics(views.views, views.n, false, &text);
    int status = hf_terminal_print(&text);
    return status != HF_EXIT_DONE ? status : worst;
}
