/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/memory.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"

#define QUEUE_MAX 64 /* unread messages per client, beyond the socket's buffer */
#define PRIORITY  (SD_EVENT_PRIORITY_NORMAL + 1) /* supervision comes first */

void hf_control_drop(HfControlClient *client)
{
    HfControl *control = client->control;

    hf_control_forget_calls(control, client->bus);
    for (HfControlClient **link = &control->clients; *link; link = &(*link)->next)
        if (*link == client) {
            *link = client->next;
            control->n_clients--;
            sd_event_source_set_enabled(control->acceptable, SD_EVENT_ON);
            break;
        }
    sd_bus_slot_unref(client->filter);
    sd_bus_slot_unref(client->object);
    sd_bus_slot_unref(client->driver);
    sd_bus_slot_unref(client->connected);
    sd_bus_slot_unref(client->disconnected);
    sd_event_source_disable_unref(client->read_ahead);
    if (client->bus)
        sd_bus_detach_event(client->bus);
    sd_bus_close_unref(client->bus);
    free(client);
}

/* A client that calls without reading must not fill our memory with answers. */
bool hf_control_keeps_up(const HfControlClient *client)
{
    uint64_t waiting;

    return sd_bus_get_n_queued_write(client->bus, &waiting) < 0 || waiting <= QUEUE_MAX;
}

static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    HfControlClient *client = userdata;

    (void)unused;
    client->heard = hf_clock_monotonic();
    if (sd_bus_message_is_method_call(message, NULL, NULL) > 0)
        client->called = true;
    if (hf_control_keeps_up(client))
        return 0;
    hf_control_drop(client);
    return 1;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)message;
    (void)unused;
    hf_control_drop(userdata);
    return 0;
}

static bool is_there(const HfControl *control, const HfControlClient *client)
{
    for (const HfControlClient *other = control->clients; other; other = other->next)
        if (other == client)
            return true;
    return false;
}

/* sd-bus may have read messages together with the end of the handshake, and would handle them only
 * when more input comes. */
static int on_read_ahead(sd_event_source *source, void *userdata)
{
    HfControlClient *client = userdata;
    const HfControl *control = client->control;

    if (sd_bus_process(client->bus, NULL) > 0 && is_there(control, client))
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int on_connected(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    const HfControlClient *client = userdata;

    (void)message;
    (void)unused;
    return sd_event_source_set_enabled(client->read_ahead, SD_EVENT_ONESHOT);
}

static int match_local(HfControlClient *client, const char *member,
                       sd_bus_message_handler_t callback, sd_bus_slot **slot)
{
    return sd_bus_match_signal(client->bus, slot, "org.freedesktop.DBus.Local",
                               "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", member,
                               callback, client);
}

int hf_control_add(HfControl *control, int *fd)
{
    sd_id128_t id;
    HfControlClient *client = hf_allocate(1, sizeof(*client));

    if (!client)
        return -ENOMEM;
    client->control = control;
    client->heard = hf_clock_monotonic();
    client->next = control->clients;
    control->clients = client;
    control->n_clients++;

    int r = sd_bus_new(&client->bus);
    if (r >= 0)
        r = sd_id128_randomize(&id);
    if (r >= 0)
        r = sd_bus_set_fd(client->bus, *fd, *fd);
    if (r >= 0) {
        hf_fd_steal(fd);
        r = sd_bus_set_server(client->bus, 1, id);
    }
    if (r >= 0) /* it would wait for a caller that sends or reads nothing */
        r = sd_bus_set_close_on_exit(client->bus, 0);
    if (r >= 0)
        r = sd_bus_set_connected_signal(client->bus, 1);
    if (r >= 0)
        r = sd_bus_start(client->bus);
    if (r >= 0)
        r = sd_bus_attach_event(client->bus, control->supervisor->loop, PRIORITY);
    if (r >= 0)
        r = sd_bus_add_filter(client->bus, &client->filter, on_message, client);
    if (r >= 0)
        r = sd_bus_add_object_vtable(client->bus, &client->object, HF_CONTROL_PATH,
                                     HF_CONTROL_INTERFACE, hf_control_object, control);
    if (r >= 0)
        r = sd_bus_add_object_vtable(client->bus, &client->driver, "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", hf_control_driver, control);
    if (r >= 0)
        r = match_local(client, "Connected", on_connected, &client->connected);
    if (r >= 0)
        r = match_local(client, "Disconnected", on_disconnected, &client->disconnected);
    if (r >= 0)
        r = sd_event_add_defer(control->supervisor->loop, &client->read_ahead, on_read_ahead,
                               client);
    if (r >= 0)
        r = sd_event_source_set_priority(client->read_ahead, PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_enabled(client->read_ahead, SD_EVENT_OFF);
    if (r < 0)
        hf_control_drop(client);
    return r;
}

/* ---- signals ---- */

/* One of the two kinds of signal. */
typedef struct Signal {
    const HfNotice *notice;
    char **changed; /* names of changed properties */
} Signal;

static int send_signal(sd_bus *bus, const Signal *signal)
{
    const HfNotice *notice = signal->notice;

    if (!notice)
        return sd_bus_emit_properties_changed_strv(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE,
                                                   signal->changed);
    return sd_bus_emit_signal(bus, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, "Event", "stsst",
                              notice->name, notice->generation, notice->cause, notice->text,
                              notice->realtime);
}

/* Sends to each client that has called a method. The connection of one that does not read ends. */
static void broadcast(HfControl *control, const Signal *signal)
{
    HfControlClient *next;

    for (HfControlClient *client = control->clients; client; client = next) {
        next = client->next;
        if (!client->called)
            continue;
        if (!hf_control_keeps_up(client) || send_signal(client->bus, signal) < 0)
            hf_control_drop(client);
    }
}

void hf_control_signal(const HfNotice *notice, void *userdata)
{
    broadcast(userdata, &(Signal){.notice = notice});
}

void hf_control_update(HfControl *control)
{
    const HfMachine *machine = &control->supervisor->machine;
    const char *state = hf_control_state(machine);
    uint64_t generation = hf_control_generation(machine);
    uint32_t draining = hf_machine_count_leaving(machine);
    static char names[][sizeof("Generation")] = {"State", "Generation", "Draining"};
    char *changed[4] = {NULL};
    size_t n = 0;

    if (control->told.state != state)
        changed[n++] = names[0];
    if (control->told.generation != generation)
        changed[n++] = names[1];
    if (control->told.draining != draining)
        changed[n++] = names[2];
    control->told.state = state;
    control->told.generation = generation;
    control->told.draining = draining;
    if (n > 0)
        broadcast(control, &(Signal){.changed = changed});
}
