/* SPDX-License-Identifier: MIT */
// A server with several sockets, by sd_listen_fds(3): tells each client who answers, and at which
// socket. /slow takes its time. It forks a child for each connection; on TERM it accepts no more
// and waits for them.
//
//     cc -O2 -o hello hello.c $(pkg-config --cflags --libs libsystemd)

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { LISTENERS_MAX = 16, REQUEST_MAX = 8192 };

static volatile sig_atomic_t leaving;

static void leave(int number)
{
    (void)number;
    leaving = 1;
}

static _Noreturn void answer(int connection, const char *name)
{
    char request[REQUEST_MAX] = "";
    size_t length = 0;
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t got = read(connection, request + length, sizeof request - 1 - length);
        if (got <= 0)
            _exit(1);
        length += (size_t)got;
    }
    if (strncmp(request, "GET /slow ", 10) == 0)
        usleep(300 * 1000);
    dprintf(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello %d %s\n", (int)getppid(),
            name);
    _exit(0);
}

static void take(int listener, const char *name)
{
    // The other generation may have been faster: then there is no connection.
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    if (fork() == 0)
        answer(connection, name);
    close(connection);
}

int main(void)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    if (count < 1 || count > LISTENERS_MAX) {
        fprintf(stderr, "hello: 1 to %d sockets are expected\n", LISTENERS_MAX);
        return 1;
    }
    struct pollfd polled[LISTENERS_MAX];
    for (int i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = SD_LISTEN_FDS_START + i, .events = POLLIN};
        fcntl(polled[i].fd, F_SETFL, O_NONBLOCK);
    }

    // TERM arrives only while it waits, so no connection is half accepted then.
    sigset_t term, before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = leave}, NULL);

    sd_notify(0, "READY=1");
    while (!leaving) {
        if (ppoll(polled, (nfds_t)count, NULL, &before) > 0)
            for (int i = 0; i < count; i++)
                if (polled[i].revents)
                    take(polled[i].fd, names[i]);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 0;
}
