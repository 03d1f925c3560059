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
#include "base/parse.h"
#include "loop/reaper.h"
#include "parts.h"
#include "parts/control/control_parts.h"
#include "parts/control/names.h"

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
    int r = hf_control_add(control, &accepted);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "a control connection cannot be served, and is closed");
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

static int control_begin(HfSupervisor *supervisor, void **ret, HfText *error)
{
    HfControl *control = calloc(1, sizeof(*control));

    (void)error;
    if (!control)
        return -ENOMEM;
    control->supervisor = supervisor;
    control->events = hf_events_of(supervisor);
    control->started = hf_clock_realtime();
    control->fd = -1;
    *ret = control;
    hf_notices_subscribe(&control->events->notices, hf_control_signal, control);
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
    hf_control_update(state);
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
static void control_free(void *state)
{
    HfControl *control = state;

    /* without sd_bus_flush, which would wait for a client that does not read; answers have been
     * sent */
    while (control->clients)
        hf_control_drop(control->clients);
    sd_event_source_disable_unref(control->acceptable);
    sd_event_source_disable_unref(control->pause);
    hf_control_forget_results(control);
    hf_figures_free(control->figures[false]);
    hf_figures_free(control->figures[true]);
    hf_fd_close(control->fd);
    free(control);
}

const HfPart hf_part_control = {
    .name = "control",
    .begin = control_begin,
    .claimed = control_claimed,
    .performed = control_performed,
    .stepped = control_stepped,
    .placed = control_placed,
    .captured = control_captured,
    .free = control_free,
};
