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
#include "base/parse.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"
#include "run/loop.h"

#define CLIENTS_MAX                                                                                \
    (2 * HF_MACHINE_REQUESTS) /* at the same time; who comes then waits in the backlog for the     \
                                 place of an idle one */
#define SILENCE          (100 * HF_USEC_PER_MSEC) /* of who has not said yet who it is, until it is idle */
#define IDLE             (3 * HF_USEC_PER_SEC) /* of the others, with no request under way */
#define ACCEPTS_A_SECOND 256

/* Root and the user we run as: the socket's mode keeps the others away, this makes sure. */
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

/* The oldest idle one leaves. */
static bool make_room(HfControl *control)
{
    uint64_t now = hf_clock_monotonic();
    HfControlClient *oldest = NULL;

    for (HfControlClient *client = control->clients; client; client = client->next)
        if (is_idle(client, now))
            oldest = client; /* new ones come first in the list */
    if (oldest)
        hf_control_drop(oldest);
    return oldest != NULL;
}

static int on_pause_end(sd_event_source *source, uint64_t usec, void *userdata)
{
    const HfControl *control = userdata;

    (void)source;
    (void)usec;
    return sd_event_source_set_enabled(control->acceptable, SD_EVENT_ON);
}

/* While every place is taken and somebody waits. */
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
    int r = hf_control_add(control, &accepted);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "a control connection cannot be served, it is closed");
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
    if (listen(fd, SOMAXCONN) < 0)
        return -errno;
    return hf_fd_steal(&fd);
}

int hf_control_fd(const HfControl *control)
{
    return control->fd;
}

static int accept_callers(HfControl *control, HfSupervisor *supervisor)
{
    int r = 0;

    if (control->fd < 0)
        r = control->fd = open_socket(supervisor->runtime.control);
    if (r >= 0)
        r = sd_event_add_io(supervisor->loop, &control->acceptable, control->fd, EPOLLIN,
                            on_acceptable, control);
    if (r >= 0)
        r = sd_event_add_time(supervisor->loop, &control->pause, CLOCK_MONOTONIC, UINT64_MAX,
                              HF_LOOP_ACCURACY(SILENCE), on_pause_end, control);
    if (r >= 0)
        r = sd_event_source_set_enabled(control->pause, SD_EVENT_OFF);
    if (r >= 0) /* a caller that cannot be accepted (EMFILE) goes on waiting to be */
        r = sd_event_source_set_ratelimit(control->acceptable, HF_USEC_PER_SEC, ACCEPTS_A_SECOND);
    return r;
}

int hf_control_new(HfSupervisor *supervisor, int fd, HfControl **ret)
{
    HfControl *control = calloc(1, sizeof(*control));
    if (!control)
        return -ENOMEM;
    control->supervisor = supervisor;
    control->events = hf_events_of(supervisor);
    control->started = hf_clock_realtime();
    control->fd = fd;
    int r = supervisor->runtime.in_memory ? 0 : accept_callers(control, supervisor);
    if (r < 0) {
        hf_control_free(control);
        return r;
    }
    hf_notices_subscribe(&control->events->notices, hf_control_signal, control);
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
        hf_control_drop(control->clients);
    sd_event_source_disable_unref(control->acceptable);
    sd_event_source_disable_unref(control->pause);
    hf_control_forget_results(control);
    hf_fd_close(control->fd);
    free(control);
    return NULL;
}
