/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "loop/reaper.h"
#include "parts.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"

#define QUEUE_MAX 64 /* unread messages per client, beyond the socket's buffer */
#define PRIORITY  (SD_EVENT_PRIORITY_NORMAL + 1) /* supervision comes first */

/* Ends the connection. */
static void drop_client(HfControlClient *client)
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
static bool keeps_up(const HfControlClient *client)
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
    if (keeps_up(client))
        return 0;
    drop_client(client);
    return 1;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)message;
    (void)unused;
    drop_client(userdata);
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

/* Serves the connection fd, and takes ownership of it. Returns 0 or negative errno. */
static int add_client(HfControl *control, int *fd)
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
        drop_client(client);
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
        if (!keeps_up(client) || send_signal(client->bus, signal) < 0)
            drop_client(client);
    }
}

static void send_notice(const HfNotice *notice, void *userdata)
{
    broadcast(userdata, &(Signal){.notice = notice});
}

/* After each step: tells clients about changed properties. */
static void send_changes(HfControl *control)
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

#define CLIENTS_MAX                                                                                \
    (2 * HF_MACHINE_REQUESTS) /* at the same time; who comes then waits in the backlog for the     \
                                 place of an idle one */
#define SILENCE          (100 * HF_USEC_PER_MSEC) /* a client that has not called yet may be idle */
#define IDLE             (3 * HF_USEC_PER_SEC)    /* any other, without a request in progress */
#define ACCEPTS_A_SECOND 256

/* Root and the user we run as: the socket's mode keeps others out, this makes sure. */
static bool permitted(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static bool is_idle(const HfControlClient *client, uint64_t now)
{
    bool ready = sd_bus_is_ready(client->bus) > 0;

    return now - client->heard >= (ready ? IDLE : SILENCE) &&
           !hf_control_has_call(client->control, client->bus);
}

/* Drops the client that has been idle longest. */
static bool make_room(HfControl *control)
{
    uint64_t now = hf_clock_monotonic();
    HfControlClient *oldest = NULL;

    for (HfControlClient *client = control->clients; client; client = client->next)
        if (is_idle(client, now))
            oldest = client; /* new clients are added at the front of the list */
    if (oldest)
        drop_client(oldest);
    return oldest != NULL;
}

static int on_pause_end(sd_event_source *source, uint64_t usec, void *userdata)
{
    const HfControl *control = userdata;

    (void)source;
    (void)usec;
    return sd_event_source_set_enabled(control->acceptable, SD_EVENT_ON);
}

/* While every place is taken and another client waits. */
static int pause_accepting(HfControl *control)
{
    int r = sd_event_source_set_time_relative(control->pause, SILENCE);
    if (r >= 0)
        r = sd_event_source_set_enabled(control->pause, SD_EVENT_ONESHOT);
    return r < 0 ? r : sd_event_source_set_enabled(control->acceptable, SD_EVENT_OFF);
}

static int on_acceptable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfControl *control = userdata;

    (void)source;
    (void)revents;
    if (control->n_clients >= CLIENTS_MAX && !make_room(control))
        return pause_accepting(control);
    HF_CLEANUP_FD int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0 || !permitted(accepted))
        return 0;
    int r = add_client(control, &accepted);
    if (r < 0)
        hf_log(LOG_WARNING, &(HfLogFields){.error = r},
               "a control connection cannot be served, and is closed");
    return 0;
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    unlink(path); /* the directory is ours, and locked */
    mode_t mask = umask(0077);
    int r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(mask);
    if (r < 0)
        return r;
    if (listen(fd, SOMAXCONN) < 0)
        return -errno;
    return hf_fd_steal(&fd);
}

static int accept_callers(HfControl *control, HfSupervisor *supervisor)
{
    int r = 0;

    if (control->fd < 0)
        r = control->fd = open_socket(supervisor->runtime.control);
    if (r >= 0)
        r = hf_socket_path_inode(supervisor->runtime.control, &control->inode);
    if (r >= 0)
        r = sd_event_add_io(supervisor->loop, &control->acceptable, control->fd, EPOLLIN,
                            on_acceptable, control);
    if (r >= 0)
        r = sd_event_add_time(supervisor->loop, &control->pause, CLOCK_MONOTONIC, UINT64_MAX,
                              HF_LOOP_ACCURACY(SILENCE), on_pause_end, control);
    if (r >= 0)
        r = sd_event_source_set_enabled(control->pause, SD_EVENT_OFF);
    if (r >= 0) /* a caller that cannot be accepted (EMFILE) stays in the backlog */
        r = sd_event_source_set_ratelimit(control->acceptable, HF_USEC_PER_SEC, ACCEPTS_A_SECOND);
    return r;
}

/* We have bound it, and only the holder of the directory's lock may remove what stands there. */
static int control_placed(void *state)
{
    HfControl *control = state;
    const char *path = control->supervisor->runtime.control;

    if (hf_socket_path_is(path, &control->inode) != 0)
        return 0;
    control->acceptable = sd_event_source_disable_unref(control->acceptable);
    control->pause = sd_event_source_disable_unref(control->pause);
    control->fd = hf_fd_close(control->fd);
    int r = accept_callers(control, control->supervisor);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r}, "the control socket %s cannot be created again",
               path);
    return r >= 0;
}

static int control_begin(void *state, HfText *error)
{
    HfControl *control = state;
    HfSupervisor *supervisor = control->supervisor;

    (void)error;
    control->events = hf_events_of(supervisor);
    control->started = hf_clock_realtime();
    control->fd = -1;
    hf_notices_subscribe(&control->events->notices, send_notice, control);
    return 0;
}

static int control_claimed(void *state, HfText *error)
{
    HfControl *control = state;
    HfSupervisor *supervisor = control->supervisor;
    const char *last_id = hf_notes_text(&supervisor->notes, "last-id");

    (void)error;
    if (last_id && hf_parse_uint(last_id, UINT64_MAX, &control->last_id) < 0)
        return -EBADMSG;
    control->fd = hf_notes_take(&supervisor->notes, HF_NOTES_CONTROL);
    if (!supervisor->runtime.in_memory &&
        hf_socket_path_inode(supervisor->runtime.control, &control->inode) < 0)
        control->fd = hf_fd_close(control->fd);
    return supervisor->runtime.in_memory ? 0 : accept_callers(control, supervisor);
}

static void control_performed(void *state, const HfAction *action)
{
    const HfControl *control = state;
    const char *failure = control->supervisor->failure;

    if (action->type == HF_ACTION_ANSWER)
        hf_control_answer(state, action->id, action->outcome, failure ? failure : "");
}

static void control_stepped(void *state)
{
    send_changes(state);
}

static int control_captured(void *state, HfNotes *notes)
{
    const HfControl *control = state;
    HF_CLEANUP_TEXT HfText last_id = {0};

    hf_text_addf(&last_id, "%llu", (unsigned long long)control->last_id);
    int r = hf_notes_add(notes, "last-id", hf_text_peek(&last_id), -1);
    return r < 0 || control->fd < 0 ? r : hf_notes_add(notes, HF_NOTES_CONTROL, NULL, control->fd);
}

/* The end of the connection tells callers of stop that everything has been released. */
static void control_clear(void *state)
{
    HfControl *control = state;

    /* without sd_bus_flush, which would wait for a client that does not read; answers have been
     * sent */
    while (control->clients)
        drop_client(control->clients);
    sd_event_source_disable_unref(control->acceptable);
    sd_event_source_disable_unref(control->pause);
    hf_control_forget_results(control);
    hf_figures_free(control->figures[false]);
    hf_figures_free(control->figures[true]);
    hf_fd_close(control->fd);
}

const HfPart hf_part_control = {
    .name = "control",
    .state_size = sizeof(HfControl),
    .begin = control_begin,
    .claimed = control_claimed,
    .performed = control_performed,
    .stepped = control_stepped,
    .placed = control_placed,
    .captured = control_captured,
    .clear = control_clear,
};
