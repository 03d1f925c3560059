#include "cli/view.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "parts/control/names.h"

#define PATIENCE (25 * UINT64_C(1000000)) /* usec, for one answer */

void hf_view_clear(HfView *view)
{
    free(view->replacements);
    free(view->generations);
    free(view->listeners);
    free(view->events);
    free(view->history);
    for (size_t i = 0; i < view->n_messages; i++)
        sd_bus_message_unref(view->messages[i]);
    *view = (HfView){0};
}

/* The answer is kept with the view, for its strings. */
static int ask(sd_bus *bus, const char *interface, const char *method, const char *argument,
               HfView *view, sd_bus_message **ret)
{
    __attribute__((cleanup(sd_bus_message_unrefp))) sd_bus_message *call = NULL;

    assert(view->n_messages < HF_VIEW_MESSAGES);
    int r = sd_bus_message_new_method_call(bus, &call, NULL, HF_CONTROL_PATH, interface, method);
    if (r >= 0 && argument)
        r = sd_bus_message_append(call, "s", argument);
    if (r >= 0)
        r = sd_bus_call(bus, call, PATIENCE, NULL, ret);
    if (r < 0)
        return r;
    view->messages[view->n_messages++] = *ret;
    return 0;
}

/* Reads rows into a heap array. read: as sd_bus_message_read, 0 at the end of the array. */
static int read_rows(sd_bus_message *message, const char *row,
                     int (*read)(sd_bus_message *, void *), size_t size, void *array, size_t *ret_n)
{
    _Alignas(max_align_t) char element[16 * sizeof(uint64_t)];
    char *rows = NULL;
    size_t capacity = 0;
    size_t n = 0;

    assert(size <= sizeof(element));
    int r = sd_bus_message_enter_container(message, 'a', row);
    while (r >= 0 && (r = read(message, element)) > 0) {
        r = hf_array_reserve(&rows, &capacity, n + 1, size);
        if (r >= 0)
            memcpy(rows + n++ * size, element, size);
    }
    if (r >= 0)
        r = sd_bus_message_exit_container(message);
    if (r < 0) {
        free(rows);
        return r;
    }
    memcpy(array, &rows, sizeof(rows));
    *ret_n = n;
    return 0;
}

static int read_generation(sd_bus_message *message, void *row)
{
    HfViewGeneration *to = row;

    return sd_bus_message_read(message, HF_CONTROL_GENERATION, &to->number, &to->state, &to->stage,
                               &to->cause, &to->pid, &to->started, &to->ready, &to->age,
                               &to->processes, &to->memory, &to->status);
}

static int read_listener(sd_bus_message *message, void *row)
{
    HfViewListener *to = row;

    return sd_bus_message_read(message, HF_CONTROL_LISTENER, &to->name, &to->address, &to->kind,
                               &to->depth, &to->limit, &to->highest, &to->drops);
}

static int read_event(sd_bus_message *message, void *row)
{
    HfViewEvent *to = row;

    return sd_bus_message_read(message, HF_CONTROL_EVENT, &to->name, &to->generation, &to->cause,
                               &to->text, &to->usec);
}

static int read_past(sd_bus_message *message, void *row)
{
    HfViewPast *to = row;

    return sd_bus_message_read(message, HF_CONTROL_PAST, &to->number, &to->cause, &to->started,
                               &to->ready, &to->ended, &to->ready_after, &to->lifetime,
                               &to->processes, &to->end);
}

static int read_count(sd_bus_message *message, void *row)
{
    HfViewCount *to = row;

    return sd_bus_message_read(message, "{st}", &to->cause, &to->count);
}

#define READ_LIST(bus, view, method, row, read, list)                                              \
    read_list(bus, view, method, row, read, sizeof(*(view)->list), &(view)->list, &(view)->n_##list)

static int read_list(sd_bus *bus, HfView *view, const char *method, const char *row,
                     int (*read)(sd_bus_message *, void *), size_t size, void *array, size_t *ret_n)
{
    sd_bus_message *reply;

    int r = ask(bus, HF_CONTROL_INTERFACE, method, NULL, view, &reply);
    return r < 0 ? r : read_rows(reply, row, read, size, array, ret_n);
}

static const struct {
    const char *name;
    char type;
    size_t offset;
} properties[] = {
    {"Name", 's', offsetof(HfView, name)},
    {"Version", 's', offsetof(HfView, version)},
    {"State", 's', offsetof(HfView, state)},
    {"Pid", 'u', offsetof(HfView, pid)},
    {"Draining", 'u', offsetof(HfView, draining)},
    {"Started", 't', offsetof(HfView, started)},
    {"Generation", 't', offsetof(HfView, generation)},
    {"Failures", 't', offsetof(HfView, failures)},
    {"Replaced", 't', offsetof(HfView, replaced)},
    {"ReadyAfter", 't', offsetof(HfView, ready_after)},
};

/* A variant; what is not known here is passed over. */
static int read_property(sd_bus_message *message, const char *name, HfView *view)
{
    if (strcmp(name, "Replacements") == 0) {
        int r = sd_bus_message_enter_container(message, 'v', "a{st}");
        if (r >= 0)
            r = read_rows(message, "{st}", read_count, sizeof(*view->replacements),
                          &view->replacements, &view->n_replacements);
        return r < 0 ? r : sd_bus_message_exit_container(message);
    }
    for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++)
        if (strcmp(name, properties[i].name) == 0) {
            const char type[] = {properties[i].type, '\0'};
            return sd_bus_message_read(message, "v", type, (char *)view + properties[i].offset);
        }
    return sd_bus_message_skip(message, "v");
}

static int read_properties(sd_bus *bus, HfView *view)
{
    sd_bus_message *reply;
    const char *name;

    int r =
        ask(bus, "org.freedesktop.DBus.Properties", "GetAll", HF_CONTROL_INTERFACE, view, &reply);
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

int hf_view_read(sd_bus *bus, HfView *ret)
{
    HfView view = {0};

    int r = read_properties(bus, &view);
    if (r >= 0)
        r = READ_LIST(bus, &view, "ListGenerations", HF_CONTROL_GENERATION, read_generation,
                      generations);
    if (r >= 0)
        r = READ_LIST(bus, &view, "ListListeners", HF_CONTROL_LISTENER, read_listener, listeners);
    if (r >= 0)
        r = READ_LIST(bus, &view, "ListEvents", HF_CONTROL_EVENT, read_event, events);
    if (r < 0) {
        hf_view_clear(&view);
        return r;
    }
    *ret = view;
    return 0;
}

int hf_view_read_history(sd_bus *bus, HfView *ret)
{
    HfView view = {0};

    int r = read_properties(bus, &view);
    if (r >= 0)
        r = READ_LIST(bus, &view, "GetHistory", HF_CONTROL_PAST, read_past, history);
    if (r < 0) {
        hf_view_clear(&view);
        return r;
    }
    *ret = view;
    return 0;
}
