/* SPDX-License-Identifier: MIT */
/* A small server of the listen-fds convention: answers each HTTP request with its pid, one after
 * another, and on TERM leaves with none half done. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define LISTENERS_MAX 4

static volatile sig_atomic_t leaving;

static void on_term(int number)
{
    (void)number;
    leaving = 1;
}

static void answer(int connection)
{
    static const struct timeval patience = {.tv_sec = 5};
    char request[4096];
    char text[128];
    char body[32];
    size_t length = 0;

    (void)setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (length < sizeof(request) - 1) {
        ssize_t n = recv(connection, request + length, sizeof(request) - 1 - length, 0);
        if (n <= 0)
            return;
        length += (size_t)n;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    int n = snprintf(body, sizeof(body), "small %d\n", (int)getpid());
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, body);
    (void)send(connection, text, (size_t)n, MSG_NOSIGNAL);
}

int main(void)
{
    const struct sigaction action = {.sa_handler = on_term};
    struct pollfd listeners[LISTENERS_MAX];
    const int n = sd_listen_fds(0);
    sigset_t term;
    sigset_t waiting;

    if (n < 1 || n > LISTENERS_MAX)
        return EXIT_FAILURE;
    /* it is asked to leave only while it waits, so never between accept and answer */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, &waiting) < 0 || sigaction(SIGTERM, &action, NULL) < 0)
        return EXIT_FAILURE;
    sigdelset(&waiting, SIGTERM);
    /* the other generation may be quicker */
    for (int i = 0; i < n; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
            return EXIT_FAILURE;
        listeners[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    if (sd_notify(0, "READY=1") < 0)
        return EXIT_FAILURE;
    while (!leaving) {
        if (ppoll(listeners, (nfds_t)n, NULL, &waiting) < 0) {
            if (errno == EINTR)
                continue;
            return EXIT_FAILURE;
        }
        for (int i = 0; i < n; i++) {
            int connection =
                listeners[i].revents ? accept4(listeners[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (connection < 0)
                continue;
            answer(connection);
            close(connection);
        }
    }
    return EXIT_SUCCESS;
}
