/* SPDX-License-Identifier: MIT */
/* The least that an sd-event loop with an sd-bus server is: what holdfast's memory is measured
 * against. It answers the calls that holdfast's control answers, and does nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "parts/control/names.h"

#define CLIENTS_MAX 32

static int answer(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)userdata;
    (void)unused;
    return sd_bus_reply_method_return(message, NULL);
}

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Reload", NULL, NULL, answer, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Restart", NULL, NULL, answer, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Stop", NULL, NULL, answer, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    sd_bus *bus = sd_bus_message_get_bus(message);

    (void)userdata;
    (void)unused;
    sd_bus_detach_event(bus);
    sd_bus_close_unref(bus);
    return 0;
}

static int on_acceptable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    sd_id128_t id;
    sd_bus *bus = NULL;

    (void)revents;
    (void)userdata;
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted < 0)
        return 0;
    int r = sd_bus_new(&bus);
    if (r >= 0)
        r = sd_id128_randomize(&id);
    if (r >= 0)
        r = sd_bus_set_fd(bus, accepted, accepted);
    if (r >= 0)
        r = sd_bus_set_server(bus, 1, id);
    if (r >= 0)
        r = sd_bus_start(bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, sd_event_source_get_event(source), SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, NULL, HF_CONTROL_PATH, HF_CONTROL_INTERFACE, vtable,
                                     NULL);
    if (r >= 0)
        r = sd_bus_match_signal(bus, NULL, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                "Disconnected", on_disconnected, NULL);
    return r < 0 ? sd_event_exit(sd_event_source_get_event(source), r) : 0;
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, CLIENTS_MAX) < 0)
        return -errno;
    return fd;
}

int main(int argc, char *argv[])
{
    sd_event *event = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: empty SOCKET\n");
        return 2;
    }
    int r = sd_event_new(&event);
    int fd = r < 0 ? r : open_socket(argv[1]);
    r = fd < 0 ? fd : sd_event_add_io(event, NULL, fd, EPOLLIN, on_acceptable, NULL);
    if (r >= 0) {
        puts("ready");
        fflush(stdout);
        r = sd_event_loop(event);
    }
    if (r < 0)
        fprintf(stderr, "empty: %s\n", strerror(-r));
    sd_event_unref(event);
    return r < 0;
}
