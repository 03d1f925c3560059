/* SPDX-License-Identifier: MIT */
#include "cli/view.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "cli/client.h"
#include "config/options.h"
#include "parts/control/names.h"

#define MEMBER(row, member, type, shown)                                                           \
    {                                                                                              \
#member, type, HF_SHOWN_##shown, offsetof(row, member), NULL, NULL, NULL                   \
    }
#define METRIC(row, member, type, shown, metric, help)                                             \
    {                                                                                              \
#member, type, HF_SHOWN_##shown, offsetof(row, member), NULL, metric, help                 \
    }
#define ROWS(row, container, list)                                                                 \
    container, sizeof(row), offsetof(HfView, list), offsetof(HfView, n_##list)

const HfViewList hf_view_lists[HF_VIEW_LISTS] = {
    [HF_VIEW_REPLACEMENTS] = {"replacements",
                              NULL,
                              ROWS(HfViewCount, 'e', replacements),
                              {
                                  MEMBER(HfViewCount, cause, 's', STRING),
                                  MEMBER(HfViewCount, count, 't', NUMBER),
                              }},
    [HF_VIEW_GENERATIONS] = {"generations",
                             "ListGenerations",
                             ROWS(HfViewGeneration, 'r', generations),
                             {
                                 MEMBER(HfViewGeneration, number, 't', NUMBER),
                                 MEMBER(HfViewGeneration, state, 's', STRING),
                                 MEMBER(HfViewGeneration, stage, 's', STRING),
                                 MEMBER(HfViewGeneration, cause, 's', STRING),
                                 MEMBER(HfViewGeneration, pid, 'u', COUNT),
                                 MEMBER(HfViewGeneration, started, 't', SECONDS),
                                 MEMBER(HfViewGeneration, ready, 't', SECONDS),
                                 MEMBER(HfViewGeneration, age, 't', SECONDS),
                                 MEMBER(HfViewGeneration, processes, 'u', NUMBER),
                                 MEMBER(HfViewGeneration, memory, 't', NUMBER),
                                 MEMBER(HfViewGeneration, status, 's', STRING),
                             }},
    [HF_VIEW_LISTENERS] =
        {"listeners",
         "ListListeners",
         ROWS(HfViewListener, 'r', listeners),
         {
             METRIC(HfViewListener, name, 's', STRING, "listener", NULL),
             METRIC(HfViewListener, address, 's', STRING, "address", NULL),
             MEMBER(HfViewListener, kind, 's', STRING),
             METRIC(HfViewListener, depth, 'u', NUMBER, "queue_depth",
                    "Connections that wait to be accepted."),
             METRIC(HfViewListener, limit, 'u', NUMBER, "queue_limit",
                    "Connections that may wait to be accepted."),
             METRIC(HfViewListener, highest, 'u', NUMBER, "queue_highest",
                    "Most connections that have been seen waiting."),
             METRIC(HfViewListener, drops, 'x', COUNT, "listen_drops_total",
                    "Connections that the kernel dropped at a TCP listener, as when its queue is "
                    "full."),
             METRIC(HfViewListener, standby_depth, 'u', NUMBER, "standby_queue_depth",
                    "Connections that wait at the side that gets no new ones."),
             METRIC(HfViewListener, standby_limit, 'u', COUNT, "standby_queue_limit",
                    "Connections that may wait there; 0 for a listener with one side."),
             MEMBER(HfViewListener, one_side, 's', WORDS),
         }},
    [HF_VIEW_POOLS] =
        {"pools",
         "ListPools",
         ROWS(HfViewPool, 'r', pools),
         {
             METRIC(HfViewPool, name, 's', STRING, "pool", NULL),
             METRIC(HfViewPool, active, 'x', COUNT, "pool_active_workers",
                    "Workers of a pool that are at work."),
             METRIC(HfViewPool, idle, 'x', COUNT, "pool_idle_workers",
                    "Workers of a pool that wait for a request."),
             METRIC(HfViewPool, total, 'x', COUNT, "pool_workers", "Workers of a pool."),
             METRIC(HfViewPool, limit, 'x', COUNT, "pool_workers_limit",
                    "Workers that a pool may have."),
             METRIC(HfViewPool, queue, 'x', COUNT, "pool_queue_depth",
                    "Connections that wait for a worker of the pool."),
             METRIC(HfViewPool, accepted, 'x', COUNT, "pool_accepted_connections_total",
                    "Connections that a pool of the active generation has accepted."),
             METRIC(
                 HfViewPool, max_children, 'x', COUNT, "pool_max_children_reached_total",
                 "Times that the active generation's pool wanted more workers than it may have."),
             METRIC(HfViewPool, slow, 'x', COUNT, "pool_slow_requests_total",
                    "Requests that took longer than request_slowlog_timeout."),
             METRIC(HfViewPool, memory_peak, 'x', COUNT, "pool_memory_peak_bytes",
                    "Memory of the largest request, as PHP 8.4 and later report it."),
             MEMBER(HfViewPool, error, 's', WORDS),
         }},
    [HF_VIEW_CACHES] =
        {"caches",
         "ListCaches",
         ROWS(HfViewCache, 'r', caches),
         {
             METRIC(HfViewCache, scripts, 'x', COUNT, "opcache_scripts",
                    "Scripts in the opcode cache of the active generation."),
             METRIC(HfViewCache, keys, 'x', COUNT, "opcache_keys", "Keys that its table has."),
             METRIC(HfViewCache, keys_limit, 'x', COUNT, "opcache_keys_limit",
                    "Keys that its table may have."),
             METRIC(HfViewCache, hits, 'x', COUNT, "opcache_hits_total",
                    "Times that a script was in it."),
             METRIC(HfViewCache, misses, 'x', COUNT, "opcache_misses_total",
                    "Times that a script was not in it."),
             METRIC(HfViewCache, used, 'x', COUNT, "opcache_used_bytes",
                    "Memory of it that is used."),
             METRIC(HfViewCache, free, 'x', COUNT, "opcache_free_bytes",
                    "Memory of it that is free."),
             METRIC(HfViewCache, wasted, 'x', COUNT, "opcache_wasted_bytes",
                    "Memory wasted by scripts that have changed."),
             METRIC(HfViewCache, full_restarts, 'x', COUNT, "opcache_full_restarts_total",
                    "Times that it was emptied because it was full."),
             MEMBER(HfViewCache, error, 's', WORDS),
         }},
    [HF_VIEW_EVENTS] = {"events",
                        "ListEvents",
                        ROWS(HfViewEvent, 'r', events),
                        {
                            MEMBER(HfViewEvent, name, 's', STRING),
                            MEMBER(HfViewEvent, generation, 't', COUNT),
                            MEMBER(HfViewEvent, cause, 's', STRING),
                            MEMBER(HfViewEvent, text, 's', LINES),
                            MEMBER(HfViewEvent, time, 't', SECONDS),
                        }},
    [HF_VIEW_HISTORY] = {"generations",
                         "GetHistory",
                         ROWS(HfViewPast, 'r', history),
                         {
                             MEMBER(HfViewPast, number, 't', NUMBER),
                             MEMBER(HfViewPast, cause, 's', STRING),
                             MEMBER(HfViewPast, started, 't', SECONDS),
                             MEMBER(HfViewPast, ready, 't', SECONDS),
                             MEMBER(HfViewPast, ended, 't', SECONDS),
                             MEMBER(HfViewPast, ready_after, 't', SECONDS),
                             MEMBER(HfViewPast, lifetime, 't', SECONDS),
                             MEMBER(HfViewPast, processes, 'u', NUMBER),
                             MEMBER(HfViewPast, end, 's', WORDS),
                             MEMBER(HfViewPast, warm_listed, 't', NUMBER),
                             MEMBER(HfViewPast, warm_scripts, 't', NUMBER),
                             MEMBER(HfViewPast, warm_requests, 't', NUMBER),
                             MEMBER(HfViewPast, warm_failures, 't', NUMBER),
                             MEMBER(HfViewPast, warm_time, 't', SECONDS),
                         }},
};

const HfViewField hf_view_properties[] = {
    {"name", 's', HF_SHOWN_STRING, offsetof(HfView, name), "Name", NULL, NULL},
    {"version", 's', HF_SHOWN_STRING, offsetof(HfView, version), "Version", NULL, NULL},
    {"pid", 'u', HF_SHOWN_NUMBER, offsetof(HfView, pid), "Pid", NULL, NULL},
    {"started", 't', HF_SHOWN_SECONDS, offsetof(HfView, started), "Started", "start_time_seconds",
     "When holdfast was started, in seconds since 1970."},
    {"state", 's', HF_SHOWN_STRING, offsetof(HfView, state), "State", NULL, NULL},
    {"generation", 't', HF_SHOWN_COUNT, offsetof(HfView, generation), "Generation", "generation",
     "Number of the active generation, 0 when none is."},
    {"draining", 'u', HF_SHOWN_NUMBER, offsetof(HfView, draining), "Draining", NULL, NULL},
    {"replacements", 'a', HF_SHOWN_LIST, 0, "Replacements", NULL, NULL},
    {"failures", 't', HF_SHOWN_NUMBER, offsetof(HfView, failures), "Failures",
     "start_failures_total", "Starts and replacements that failed."},
    {"replaced", 't', HF_SHOWN_SECONDS, offsetof(HfView, replaced), "Replaced",
     "last_reload_timestamp_seconds",
     "When a generation last took the place of another, in seconds since 1970."},
    {"handover", 's', HF_SHOWN_STRING, offsetof(HfView, handover), "Handover", NULL, NULL},
    {"late_connections", 't', HF_SHOWN_NUMBER, offsetof(HfView, late_connections),
     "LateConnections", "late_connections_total",
     "Connections that were carried over from a side that nobody serves any more."},
    {"held_until", 't', HF_SHOWN_SECONDS, offsetof(HfView, held_until), "HeldUntil",
     "held_until_timestamp_seconds",
     "Until when new connections wait, and are answered afterwards, in seconds since 1970."},
    {"spared", 's', HF_SHOWN_WORDS, offsetof(HfView, spared), "Spared", NULL, NULL},
    {"ready_after", 't', HF_SHOWN_SECONDS, offsetof(HfView, ready_after), "ReadyAfter",
     "ready_seconds", "How long the last start took until it was ready."},
    {"switched_after", 't', HF_SHOWN_SECONDS, offsetof(HfView, switched_after), "SwitchedAfter",
     "switch_seconds", "How long the last replacement took from the request until it served."},
    {"gone_after", 't', HF_SHOWN_SECONDS, offsetof(HfView, gone_after), "GoneAfter",
     "drain_seconds", "How long it then took until the generation before was gone."},
    {"warm_listed", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_listed), "WarmListed",
     "warm_up_listed", "Scripts that the generation before had cached at the last warm-up."},
    {"warm_scripts", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_scripts), "WarmScripts",
     "warm_up_scripts", "Scripts that the last warm-up has compiled."},
    {"warm_requests", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_requests), "WarmRequests",
     "warm_up_requests", "Requests and commands of the last warm-up."},
    {"warm_failures", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_failures), "WarmFailures",
     "warm_up_failures", "How many of those failed."},
    {"warm_time", 't', HF_SHOWN_SECONDS, offsetof(HfView, warm_time), "WarmTime", "warm_up_seconds",
     "How long the last warm-up took."},
    {0},
};

void hf_view_clear(HfView *view)
{
    for (size_t i = 0; i < HF_VIEW_LISTS; i++)
        free(*(void **)((char *)view + hf_view_lists[i].rows));
    for (size_t i = 0; i < view->n_messages; i++)
        sd_bus_message_unref(view->messages[i]);
    hf_strv_free(view->cleaned);
    *view = (HfView){0};
}

/* ---- asking ---- */

static int on_answer(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    sd_bus_message **answer = userdata;

    (void)unused;
    *answer = sd_bus_message_ref(message);
    return 1;
}

/* The view keeps the answer, since its strings point there. */
static int ask(sd_bus *bus, const char *interface, const char *method, const char *argument,
               HfView *view)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *call = NULL;

    assert(view->n_messages < HF_VIEW_MESSAGES);
    int r = sd_bus_message_new_method_call(bus, &call, NULL, HF_CONTROL_PATH, interface, method);
    if (r >= 0 && argument)
        r = sd_bus_message_append(call, "s", argument);
    if (r >= 0)
        r = sd_bus_call_async(bus, NULL, call, on_answer, &view->messages[view->n_messages],
                              UINT64_MAX);
    if (r >= 0)
        view->n_messages++;
    return r;
}

/* What to ask for: the properties, and lists first to last. */
typedef struct Scope {
    HfViewListName first;
    HfViewListName last;
} Scope;

static const Scope now = {HF_VIEW_GENERATIONS, HF_VIEW_EVENTS};
static const Scope past = {HF_VIEW_HISTORY, HF_VIEW_HISTORY};

static int ask_all(sd_bus *bus, Scope scope, HfView *view)
{
    int r = ask(bus, "org.freedesktop.DBus.Properties", "GetAll", HF_CONTROL_INTERFACE, view);

    for (HfViewListName name = scope.first; r >= 0 && name <= scope.last; name++)
        r = ask(bus, HF_CONTROL_INTERFACE, hf_view_lists[name].method, NULL, view);
    return r;
}

static bool is_answered(const HfView *view)
{
    for (size_t i = 0; i < view->n_messages; i++)
        if (!view->messages[i])
            return false;
    return true;
}

/* One of several views that are read at the same time. */
typedef struct Asked {
    sd_bus *bus; /* borrowed */
    HfView view;
    int r;
} Asked;

/* Lets each make progress. Returns how many have not been answered yet; ret_moved: has anything
 * happened? */
static size_t process_all(Asked *asked, size_t n, bool *ret_moved)
{
    size_t open = 0;

    *ret_moved = false;
    for (size_t i = 0; i < n; i++) {
        if (asked[i].r < 0 || is_answered(&asked[i].view))
            continue;
        int r = sd_bus_process(asked[i].bus, NULL);
        if (r < 0)
            asked[i].r = r;
        *ret_moved = *ret_moved || r != 0;
        open++;
    }
    return open;
}

static void wait_for_any(const Asked *asked, size_t n, uint64_t usec)
{
    HF_CLEANUP_FREE struct pollfd *polled = hf_allocate(n, sizeof(*polled));
    nfds_t used = 0;

    for (size_t i = 0; polled && i < n; i++) {
        int events = sd_bus_get_events(asked[i].bus);
        if (asked[i].r >= 0 && !is_answered(&asked[i].view) && events >= 0)
            polled[used++] = (struct pollfd){sd_bus_get_fd(asked[i].bus), (short)events, 0};
    }
    (void)poll(polled, used, (int)(usec / HF_USEC_PER_MSEC) + 1);
}

/* Waits for all together; those not answered in time have failed. */
static void await_answers(Asked *asked, size_t n)
{
    uint64_t until = hf_clock_monotonic() + HF_CLIENT_TIMEOUT;
    bool moved;

    while (process_all(asked, n, &moved) > 0) {
        uint64_t moment = hf_clock_monotonic();
        if (moment >= until)
            break;
        if (!moved)
            wait_for_any(asked, n, until - moment);
    }
    for (size_t i = 0; i < n; i++)
        if (asked[i].r >= 0 && !is_answered(&asked[i].view))
            asked[i].r = -ETIMEDOUT;
}

/* ---- reading ---- */

/* A text may come from the instance's service, and go to another user's terminal. */
static int clean_string(const char **string, bool lines, HfView *view)
{
    size_t length = strlen(*string);
    HF_CLEANUP_FREE char *cleaned = malloc(length + 1);

    if (!cleaned)
        return -ENOMEM;
    if (lines)
        hf_text_printable_lines(*string, cleaned, length + 1);
    else
        hf_text_printable(*string, length, cleaned, length + 1);
    if (strcmp(cleaned, *string) == 0)
        return 0;
    *string = cleaned;
    return hf_strv_consume(&view->cleaned, HF_STEAL(cleaned));
}

static int read_value(sd_bus_message *message, const HfViewField *field, void *row, HfView *view)
{
    void *at = (char *)row + field->offset;
    int r = sd_bus_message_read_basic(message, field->type, at);

    return r >= 0 && field->type == 's' ? clean_string(at, field->shown == HF_SHOWN_LINES, view)
                                        : r;
}

static int read_fields(sd_bus_message *message, const HfViewField *fields, void *row, HfView *view)
{
    int r = 0;

    for (; r >= 0 && fields->key; fields++)
        r = read_value(message, fields, row, view);
    return r;
}

static int read_rows(sd_bus_message *message, const HfViewList *list, HfView *view)
{
    _Alignas(max_align_t) char row[16 * sizeof(uint64_t)];
    char members[HF_VIEW_FIELDS_MAX] = {0};
    char whole[HF_VIEW_FIELDS_MAX + 2];
    char **rows = (char **)((char *)view + list->rows);
    size_t *n = (size_t *)((char *)view + list->n_rows);
    size_t capacity = 0;
    bool is_struct = list->container == 'r';

    assert(list->size <= sizeof(row));
    for (size_t i = 0; list->fields[i].key; i++)
        members[i] = list->fields[i].type;
    snprintf(whole, sizeof(whole), "%c%s%c", is_struct ? '(' : '{', members, is_struct ? ')' : '}');
    int r = sd_bus_message_enter_container(message, 'a', whole);
    while (r >= 0 && (r = sd_bus_message_enter_container(message, list->container, members)) > 0) {
        r = read_fields(message, list->fields, row, view);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r >= 0)
            r = hf_array_reserve(rows, &capacity, *n + 1, list->size);
        if (r >= 0)
            memcpy(*rows + (*n)++ * list->size, row, list->size);
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* Reads a variant; skips unknown ones. */
static int read_property(sd_bus_message *message, const char *name, HfView *view)
{
    const HfViewField *field = hf_view_properties;

    while (field->key && strcmp(name, field->property) != 0)
        field++;
    if (!field->key)
        return sd_bus_message_skip(message, "v");
    const char type[] = {field->type, '\0'};
    int r = sd_bus_message_enter_container(message, 'v', field->type == 'a' ? "a{st}" : type);
    if (r >= 0 && field->type == 'a')
        r = read_rows(message, &hf_view_lists[HF_VIEW_REPLACEMENTS], view);
    else if (r >= 0)
        r = read_value(message, field, view, view);
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* libsystemd makes an error itself when the connection has ended. */
static int check_answer(sd_bus_message *answer)
{
    const sd_bus_error *error = sd_bus_message_get_error(answer);

    if (!error)
        return 0;
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_METHOD))
        return -EOPNOTSUPP;
    return sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ? -ECONNRESET : -EBADMSG;
}

static int read_properties(sd_bus_message *answer, HfView *view)
{
    const char *name;

    int r = check_answer(answer);
    if (r >= 0)
        r = sd_bus_message_enter_container(answer, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(answer, 'e', "sv")) > 0) {
        r = sd_bus_message_read(answer, "s", &name);
        if (r >= 0)
            r = read_property(answer, name, view);
        if (r >= 0)
            r = sd_bus_message_exit_container(answer);
    }
    if (r < 0)
        return r;
    if (!view->handover) /* 0.1.0 lacks these */
        view->handover = "";
    if (!view->spared)
        view->spared = "";
    return view->name && view->version && view->state ? 0 : -EBADMSG;
}

static int read_answers(Scope scope, HfView *view)
{
    int r = read_properties(view->messages[0], view);

    for (HfViewListName name = scope.first; r >= 0 && name <= scope.last; name++) {
        sd_bus_message *answer = view->messages[1 + name - scope.first];
        r = check_answer(answer);
        if (r == -EOPNOTSUPP) /* an older holdfast */
            r = 0;
        else if (r >= 0)
            r = read_rows(answer, &hf_view_lists[name], view);
    }
    return r < 0 ? r : 0;
}

/* Finishes each with its view or an error. */
static void read_all(Asked *asked, size_t n, Scope scope)
{
    for (size_t i = 0; i < n; i++)
        asked[i].r = ask_all(asked[i].bus, scope, &asked[i].view);
    await_answers(asked, n);
    for (size_t i = 0; i < n; i++) {
        if (asked[i].r >= 0)
            asked[i].r = read_answers(scope, &asked[i].view);
        if (asked[i].r < 0)
            hf_view_clear(&asked[i].view);
    }
}

int hf_view_read(sd_bus *bus, HfView *ret)
{
    Asked asked = {.bus = bus};

    read_all(&asked, 1, now);
    if (asked.r >= 0)
        *ret = asked.view;
    return asked.r;
}

void hf_views_clear(HfViews *views)
{
    for (size_t i = 0; i < views->n; i++)
        hf_view_clear(&views->views[i]);
    free(views->views);
    *views = (HfViews){0};
}

/* Labels are made printable as well: an instance may have any name. */
static int set_label(const char *label, HfView *view)
{
    view->name = label;
    int r = clean_string(&view->name, false, view);
    if (r < 0 || view->name != label)
        return r;
    r = hf_strv_append(&view->cleaned, label);
    if (r >= 0)
        view->name = view->cleaned[hf_strv_length(view->cleaned) - 1];
    return r;
}

static int take_view(Asked *asked, const char *label, HfViews *views)
{
    HF_CLEANUP_TEXT HfText error = {0};

    if (asked->r >= 0)
        asked->r = set_label(label, &asked->view);
    if (asked->r >= 0) {
        views->views[views->n++] = asked->view;
        return HF_EXIT_DONE;
    }
    hf_view_clear(&asked->view);
    int status = hf_client_explain(label, asked->r, &error);
    hf_client_log(&error);
    return status;
}

static int read_instances(const HfInstances *instances, Scope scope, HfViews *ret)
{
    HF_CLEANUP_FREE Asked *asked = hf_allocate(instances->n, sizeof(*asked));
    int worst = HF_EXIT_DONE;

    ret->views = hf_allocate(instances->n, sizeof(*ret->views));
    if (!asked || !ret->views) {
        hf_log(LOG_ERR, NULL, "out of memory");
        return HF_EXIT_FAILED;
    }
    for (size_t i = 0; i < instances->n; i++)
        asked[i].bus = instances->list[i].bus;
    read_all(asked, instances->n, scope);
    for (size_t i = 0; i < instances->n; i++) {
        int status = take_view(&asked[i], instances->list[i].label, ret);
        worst = status != HF_EXIT_DONE ? status : worst;
    }
    return worst;
}

int hf_views_read(const char *name, HfViews *ret, bool *ret_several)
{
    HF_CLEANUP_INSTANCES HfInstances instances = {0};
    HF_CLEANUP_TEXT HfText error = {0};

    int status = hf_client_find(name, &instances, &error);
    if (status != HF_EXIT_DONE) {
        hf_client_log(&error);
        return status;
    }
    *ret_several = instances.n > 1;
    return read_instances(&instances, now, ret);
}

int hf_views_read_history(const char *name, HfViews *ret)
{
    HF_CLEANUP_INSTANCE HfInstance instance = {0};

    int status = hf_client_connect_or_log(name, &instance);
    if (status != HF_EXIT_DONE)
        return status;
    return read_instances(&(HfInstances){.list = &instance, .n = 1}, past, ret);
}
