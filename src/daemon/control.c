#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "daemon/controlsocket.h"

#define CLIENTS_MAX                                                                                \
    (2 * HF_MACHINE_REQUESTS) /* at the same time; who comes then waits in the backlog */
#define ACCEPTS_A_SECOND 256

typedef struct Client {
    struct Client *next;
    HfControl *control;
    sd_bus *bus;
    sd_bus_slot *object;
    sd_bus_slot *disconnected;
} Client;

/* A call that waits for its answer. */
typedef struct Call {
    struct Call *next;
    uint64_t id;
    sd_bus_message *message;
} Call;

struct HfControl {
    HfSupervisor *supervisor;
    int fd;
    sd_event_source *acceptable;
    Client *clients;
    size_t n_clients;
    Call *calls;
    size_t n_calls;
};

static void drop_call(HfControl *control, Call **link)
{
    Call *call = *link;

    *link = call->next;
    control->n_calls--;
    sd_bus_message_unref(call->message);
    free(call);
}

static void drop_client(Client *client)
{
    HfControl *control = client->control;

    for (Call **link = &control->calls; *link;) {
        if (sd_bus_message_get_bus((*link)->message) == client->bus)
            drop_call(control, link);
        else
            link = &(*link)->next;
    }
    for (Client **link = &control->clients; *link; link = &(*link)->next)
        if (*link == client) {
            *link = client->next;
            control->n_clients--;
            sd_event_source_set_enabled(control->acceptable, SD_EVENT_ON);
            break;
        }
    sd_bus_slot_unref(client->object);
    sd_bus_slot_unref(client->disconnected);
    if (client->bus)
        sd_bus_detach_event(client->bus);
    sd_bus_close_unref(client->bus);
    free(client);
}

static int request(sd_bus_message *message, HfControl *control, HfRequestKind kind)
{
    HfEvent event = {.type = HF_EVENT_REQUEST, .request = kind};
    int wanted = sd_bus_message_get_expect_reply(message);

    if (wanted) {
        Call *call = control->n_calls < HF_MACHINE_REQUESTS ? malloc(sizeof(*call)) : NULL;
        if (!call)
            return sd_bus_reply_method_errorf(message, HF_CONTROL_BUSY,
                                              "too many requests wait already, try again later");
        event.id = ++control->supervisor->last_id;
        *call = (Call){control->calls, event.id, sd_bus_message_ref(message)};
        control->calls = call;
        control->n_calls++;
    }
    hf_supervisor_post(control->supervisor, &event);
    return 1;
}

static int method_reload(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return request(message, userdata, HF_REQUEST_RELOAD);
}

static int method_restart(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return request(message, userdata, HF_REQUEST_RESTART);
}

static int method_stop(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)unused;
    return request(message, userdata, HF_REQUEST_STOP);
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Reload", NULL, NULL, method_reload, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Restart", NULL, NULL, method_restart, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Stop", NULL, NULL, method_stop, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)message;
    (void)unused;
    drop_client(userdata);
    return 0;
}

/* Root and the user we run as: the socket's mode keeps the others away, this makes sure. */
static bool permitted(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static int add_client(HfControl *control, int *fd)
{
    sd_id128_t id;
    Client *client = calloc(1, sizeof(*client));

    if (!client)
        return -ENOMEM;
    client->control = control;
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
    if (r >= 0) /* which would wait for a caller that says nothing, or does not read */
        r = sd_bus_set_close_on_exit(client->bus, 0);
    if (r >= 0)
        r = sd_bus_start(client->bus);
    if (r >= 0)
        r = sd_bus_attach_event(client->bus, control->supervisor->loop, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_object_vtable(client->bus, &client->object, HF_CONTROL_PATH,
                                     HF_CONTROL_INTERFACE, vtable, control);
    if (r >= 0)
        r = sd_bus_match_signal(client->bus, &client->disconnected, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, client);
    if (r < 0)
        drop_client(client);
    return r;
}

static int on_acceptable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfControl *control = userdata;

    (void)revents;
    HF_CLEANUP_FD int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0 || !permitted(accepted))
        return 0;
    int r = add_client(control, &accepted);
    if (control->n_clients >= CLIENTS_MAX)
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "a control connection can not be served, it is closed");
    }
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
    if (listen(fd, CLIENTS_MAX) < 0)
        return -errno;
    return hf_fd_steal(&fd);
}

int hf_control_new(HfSupervisor *supervisor, HfControl **ret)
{
    HfControl *control = calloc(1, sizeof(*control));
    if (!control)
        return -ENOMEM;
    control->supervisor = supervisor;
    int r = control->fd = open_socket(supervisor->runtime.control);
    if (r >= 0)
        r = sd_event_add_io(supervisor->loop, &control->acceptable, control->fd, EPOLLIN,
                            on_acceptable, control);
    if (r >= 0) /* a caller that can not be accepted (EMFILE) goes on waiting to be */
        r = sd_event_source_set_ratelimit(control->acceptable, HF_USEC_PER_SEC, ACCEPTS_A_SECOND);
    if (r < 0) {
        hf_control_free(control);
        return r;
    }
    *ret = control;
    return 0;
}

HfControl *hf_control_free(HfControl *control)
{
    if (!control)
        return NULL;
    /* no sd_bus_flush: answers are with their callers, or it would wait for one that does not read
     */
    while (control->clients)
        drop_client(control->clients);
    sd_event_source_disable_unref(control->acceptable);
    hf_fd_close(control->fd);
    free(control);
    return NULL;
}

void hf_control_answer(HfControl *control, uint64_t id, HfOutcome outcome, const char *text)
{
    Call **link = &control->calls;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    if (!*link) /* the caller has left */
        return;
    sd_bus_message *message = (*link)->message;
    int r = 0;
    switch (outcome) {
    case HF_OUTCOME_DONE:
        r = sd_bus_reply_method_return(message, NULL);
        break;
    case HF_OUTCOME_FAILED:
        r = sd_bus_reply_method_errorf(message, HF_CONTROL_FAILED, "%s", text);
        break;
    case HF_OUTCOME_STOPPING:
        r = sd_bus_reply_method_errorf(message, HF_CONTROL_STOPPING, "holdfast is stopping");
        break;
    case HF_OUTCOME_BUSY:
        r = sd_bus_reply_method_errorf(message, HF_CONTROL_BUSY,
                                       "too many requests wait already, try again later");
        break;
    case HF_OUTCOME_MAX_:
        break;
    }
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields,
               "an answer could not be sent, its caller sees the connection end");
    }
    drop_call(control, link);
}
