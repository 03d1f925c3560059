/* SPDX-License-Identifier: MIT */
#include "cli/view.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "cli/client.h"
#include "config/options.h"
#include "parts/control/names.h"

#define MEMBER(row, member, type, shown)                                                           \
    {                                                                                              \
#member, type, HF_SHOWN_##shown, offsetof(row, member), NULL                               \
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
    [HF_VIEW_LISTENERS] = {"listeners",
                           "ListListeners",
                           ROWS(HfViewListener, 'r', listeners),
                           {
                               MEMBER(HfViewListener, name, 's', STRING),
                               MEMBER(HfViewListener, address, 's', STRING),
                               MEMBER(HfViewListener, kind, 's', STRING),
                               MEMBER(HfViewListener, depth, 'u', NUMBER),
                               MEMBER(HfViewListener, limit, 'u', NUMBER),
                               MEMBER(HfViewListener, highest, 'u', NUMBER),
                               MEMBER(HfViewListener, drops, 'x', COUNT),
                               MEMBER(HfViewListener, standby_depth, 'u', NUMBER),
                               MEMBER(HfViewListener, standby_limit, 'u', COUNT),
                               MEMBER(HfViewListener, one_side, 's', WORDS),
                           }},
    [HF_VIEW_EVENTS] = {"events",
                        "ListEvents",
                        ROWS(HfViewEvent, 'r', events),
                        {
                            MEMBER(HfViewEvent, name, 's', STRING),
                            MEMBER(HfViewEvent, generation, 't', COUNT),
                            MEMBER(HfViewEvent, cause, 's', STRING),
                            MEMBER(HfViewEvent, text, 's', STRING),
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
    {"name", 's', HF_SHOWN_STRING, offsetof(HfView, name), "Name"},
    {"version", 's', HF_SHOWN_STRING, offsetof(HfView, version), "Version"},
    {"pid", 'u', HF_SHOWN_NUMBER, offsetof(HfView, pid), "Pid"},
    {"started", 't', HF_SHOWN_SECONDS, offsetof(HfView, started), "Started"},
    {"state", 's', HF_SHOWN_STRING, offsetof(HfView, state), "State"},
    {"generation", 't', HF_SHOWN_COUNT, offsetof(HfView, generation), "Generation"},
    {"draining", 'u', HF_SHOWN_NUMBER, offsetof(HfView, draining), "Draining"},
    {"replacements", 'a', HF_SHOWN_LIST, 0, "Replacements"},
    {"failures", 't', HF_SHOWN_NUMBER, offsetof(HfView, failures), "Failures"},
    {"replaced", 't', HF_SHOWN_SECONDS, offsetof(HfView, replaced), "Replaced"},
    {"handover", 's', HF_SHOWN_STRING, offsetof(HfView, handover), "Handover"},
    {"late_connections", 't', HF_SHOWN_NUMBER, offsetof(HfView, late_connections),
     "LateConnections"},
    {"ready_after", 't', HF_SHOWN_SECONDS, offsetof(HfView, ready_after), "ReadyAfter"},
    {"warm_listed", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_listed), "WarmListed"},
    {"warm_scripts", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_scripts), "WarmScripts"},
    {"warm_requests", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_requests), "WarmRequests"},
    {"warm_failures", 't', HF_SHOWN_NUMBER, offsetof(HfView, warm_failures), "WarmFailures"},
    {"warm_time", 't', HF_SHOWN_SECONDS, offsetof(HfView, warm_time), "WarmTime"},
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

/* The answer is kept with the view, for its strings. */
static int ask_instance(sd_bus *bus, const char *interface, const char *method,
                        const char *argument, HfView *view, sd_bus_message **ret)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *call = NULL;

    assert(view->n_messages < HF_VIEW_MESSAGES);
    int r = sd_bus_message_new_method_call(bus, &call, NULL, HF_CONTROL_PATH, interface, method);
    if (r >= 0 && argument)
        r = sd_bus_message_append(call, "s", argument);
    if (r >= 0)
        r = sd_bus_call(bus, call, HF_CLIENT_TIMEOUT, NULL, ret);
    if (r < 0)
        return r;
    view->messages[view->n_messages++] = *ret;
    return 0;
}

/* What an instance says may come from its service, and goes to the terminal of another user. */
static int clean_string(const char **string, HfView *view)
{
    size_t size = strlen(*string) + 1;
    HF_CLEANUP_FREE char *cleaned = malloc(size);

    if (!cleaned)
        return -ENOMEM;
    hf_text_printable_lines(*string, cleaned, size);
    if (strcmp(cleaned, *string) == 0)
        return 0;
    *string = cleaned;
    return hf_strv_consume(&view->cleaned, HF_STEAL(cleaned));
}

static int read_value(sd_bus_message *message, char type, void *field, HfView *view)
{
    int r = sd_bus_message_read_basic(message, type, field);

    return r >= 0 && type == 's' ? clean_string(field, view) : r;
}

static int read_fields(sd_bus_message *message, const HfViewField *fields, void *row, HfView *view)
{
    int r = 0;

    for (; r >= 0 && fields->key; fields++)
        r = read_value(message, fields->type, (char *)row + fields->offset, view);
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

/* A variant; what is not known here is passed over. */
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
        r = read_value(message, field->type, (char *)view + field->offset, view);
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_properties(sd_bus *bus, HfView *view)
{
    sd_bus_message *reply;
    const char *name;

    int r = ask_instance(bus, "org.freedesktop.DBus.Properties", "GetAll", HF_CONTROL_INTERFACE,
                         view, &reply);
    if (r >= 0)
        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
        r = sd_bus_message_read(reply, "s", &name);
        if (r >= 0)
            r = read_property(reply, name, view);
        if (r >= 0)
            r = sd_bus_message_exit_container(reply);
    }
    if (r < 0)
        return r;
    return view->name && view->version && view->state ? 0 : -EBADMSG;
}

/* The properties, and the lists from first to last. */
static int read_view(sd_bus *bus, HfViewListName first, HfViewListName last, HfView *ret)
{
    HfView view = {0};
    sd_bus_message *reply;

    int r = read_properties(bus, &view);
    for (HfViewListName name = first; r >= 0 && name <= last; name++) {
        const HfViewList *list = &hf_view_lists[name];
        r = ask_instance(bus, HF_CONTROL_INTERFACE, list->method, NULL, &view, &reply);
        if (r >= 0)
            r = read_rows(reply, list, &view);
    }
    if (r < 0) {
        hf_view_clear(&view);
        return r;
    }
    *ret = view;
    return 0;
}

int hf_view_read(sd_bus *bus, HfView *ret)
{
    return read_view(bus, HF_VIEW_GENERATIONS, HF_VIEW_EVENTS, ret);
}

int hf_view_read_history(sd_bus *bus, HfView *ret)
{
    return read_view(bus, HF_VIEW_HISTORY, HF_VIEW_HISTORY, ret);
}

int hf_view_of(const char *name, int (*read)(sd_bus *bus, HfView *ret), HfView *ret)
{
    HF_CLEANUP_BUS sd_bus *bus = NULL;

    int status = hf_client_connect_or_log(name, &bus);
    if (status != HF_EXIT_DONE)
        return status;
    int r = read(bus, ret);
    if (r < 0)
        hf_log(LOG_ERR, NULL, "the instance does not answer: %s", strerror(-r));
    return r < 0 ? HF_EXIT_FAILED : HF_EXIT_DONE;
}

void hf_views_clear(HfViews *views)
{
    for (size_t i = 0; i < views->n; i++)
        hf_view_clear(&views->views[i]);
    free(views->views);
    *views = (HfViews){0};
}

int hf_views_read(const char *name, HfViews *ret, bool *ret_several)
{
    HF_CLEANUP_STRV char **names = NULL;
    HF_CLEANUP_TEXT HfText error = {0};
    int worst;

    if (name)
        worst = hf_strv_append(&names, name) < 0 ? HF_EXIT_FAILED : HF_EXIT_DONE;
    else
        worst = hf_client_list(&names, &error);
    if (worst != HF_EXIT_DONE) {
        hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
        return worst;
    }
    *ret_several = names[1];
    ret->views = hf_allocate(hf_strv_length(names), sizeof(*ret->views));
    if (!ret->views)
        return HF_EXIT_FAILED;
    for (size_t i = 0; names[i]; i++) {
        int status = hf_view_of(names[i], hf_view_read, &ret->views[ret->n]);
        if (status == HF_EXIT_DONE)
            ret->n++;
        else
            worst = status;
    }
    return worst;
}

/* JSON, RFC 8259. */

static void add_quoted(HfText *text, const char *value)
{
    hf_text_add(text, "\"");
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;
        if (byte == '"' || byte == '\\')
            hf_text_addf(text, "\\%c", byte);
        else if (byte == '\n')
            hf_text_add(text, "\\n");
        else if (byte < 0x20)
            hf_text_addf(text, "\\u%04x", (unsigned)byte);
        else
            hf_text_add_bytes(text, value, 1);
    }
    hf_text_add(text, "\"");
}

static void add_key(HfText *text, bool first, const char *key)
{
    hf_text_add(text, first ? "" : ",");
    add_quoted(text, key);
    hf_text_add(text, ":");
}

static void add_integer(HfText *text, const HfViewField *field, const void *at)
{
    uint64_t number = field->type == 'u' ? *(const uint32_t *)at : *(const uint64_t *)at;
    bool none = field->type == 'x' ? *(const int64_t *)at < 0 : number == 0;

    if (none && field->shown != HF_SHOWN_NUMBER)
        hf_text_add(text, "null");
    else if (field->shown == HF_SHOWN_SECONDS)
        hf_text_addf(text, "%llu.%06llu", (unsigned long long)(number / HF_USEC_PER_SEC),
                     (unsigned long long)(number % HF_USEC_PER_SEC));
    else
        hf_text_addf(text, "%llu", (unsigned long long)number);
}

static void add_value(HfText *text, const HfViewField *field, const void *row)
{
    const void *at = (const char *)row + field->offset;

    if (field->type != 's') {
        add_integer(text, field, at);
        return;
    }
    const char *string = *(const char *const *)at;
    if (field->shown == HF_SHOWN_WORDS && !*string)
        hf_text_add(text, "null");
    else
        add_quoted(text, string);
}

/* An array of objects; of dict entries, one object. */
static void add_list(HfText *text, const HfViewList *list, const HfView *view)
{
    const char *row = *(char *const *)((const char *)view + list->rows);
    size_t n = *(const size_t *)((const char *)view + list->n_rows);
    bool is_object = list->container == 'e';

    hf_text_add(text, is_object ? "{" : "[");
    for (size_t i = 0; i < n; i++, row += list->size) {
        if (is_object) {
            add_key(text, i == 0, *(const char *const *)(row + list->fields[0].offset));
            add_value(text, &list->fields[1], row);
            continue;
        }
        hf_text_add(text, i == 0 ? "{" : ",{");
        for (const HfViewField *field = list->fields; field->key; field++) {
            add_key(text, field == list->fields, field->key);
            add_value(text, field, row);
        }
        hf_text_add(text, "}");
    }
    hf_text_add(text, is_object ? "}" : "]");
}

void hf_view_add_json(const HfView *view, HfText *text)
{
    hf_text_add(text, "{");
    for (const HfViewField *field = hf_view_properties; field->key; field++) {
        add_key(text, field == hf_view_properties, field->key);
        if (field->shown == HF_SHOWN_LIST)
            add_list(text, &hf_view_lists[HF_VIEW_REPLACEMENTS], view);
        else
            add_value(text, field, view);
    }
    for (HfViewListName name = HF_VIEW_GENERATIONS; name <= HF_VIEW_EVENTS; name++) {
        add_key(text, false, hf_view_lists[name].key);
        add_list(text, &hf_view_lists[name], view);
    }
    hf_text_add(text, "}\n");
}

void hf_view_add_history_json(const HfView *view, HfText *text)
{
    hf_text_add(text, "{");
    add_key(text, true, hf_view_properties[0].key);
    add_value(text, &hf_view_properties[0], view);
    add_key(text, false, hf_view_lists[HF_VIEW_HISTORY].key);
    add_list(text, &hf_view_lists[HF_VIEW_HISTORY], view);
    hf_text_add(text, "}\n");
}
