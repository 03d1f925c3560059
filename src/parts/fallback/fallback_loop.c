/* SPDX-License-Identifier: MIT */
#include "parts/fallback/fallback_parts.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "format/fastcgi.h"
#include "kernel/privilege.h"

#define READ_SIZE        65536
#define READS_AT_ONCE    16
#define BYTES_MAX        (64 * 1024 * 1024) /* a web server stops sending once it has the answer */
#define ACCEPTS_AT_ONCE  16
#define LOST_RACE_TIME   5000                     /* usec */
#define CLOSE_TIME       HF_USEC_PER_SEC          /* for the peer to close as well */
#define PAUSE            (100 * HF_USEC_PER_MSEC) /* when the kernel is short of something */
#define END_MSEC         3000
#define CLEANUP_ANSWERER __attribute__((cleanup(answerer_clear)))

/* ---- one connection ---- */

/* Accepted by the answerer. */
typedef struct HfFallbackConnection {
    int fd; /* owned, non-blocking; -1: free */
    uint64_t deadline;
    size_t bytes; /* received */
    HfFastcgiResponder responder;
    size_t sent; /* of the responder's output */
    bool done;   /* shut down for writing: the rest is read and discarded */
} HfFallbackConnection;

static void close_connection(HfFallbackConnection *connection)
{
    connection->fd = hf_fd_close(connection->fd);
}

static void shut_down(HfFallbackConnection *connection)
{
    connection->done = true;
    if (shutdown(connection->fd, SHUT_WR) < 0)
        close_connection(connection);
}

/* Takes ownership of fd. answer NULL: close it cleanly, without an answer. */
static void open_connection(HfFallbackConnection *connection, int fd, const HfText *answer,
                            uint64_t deadline)
{
    connection->fd = fd;
    connection->deadline = deadline;
    connection->bytes = 0;
    connection->sent = 0;
    connection->done = false;
    if (answer)
        hf_fastcgi_responder_init(&connection->responder, answer->data, answer->length);
    else
        shut_down(connection);
}

static bool has_output(const HfFallbackConnection *connection)
{
    return !connection->done && connection->sent < connection->responder.n_out;
}

/* The poll(2) events to wait for. */
static short events_of_connection(const HfFallbackConnection *connection)
{
    return has_output(connection) ? POLLIN | POLLOUT : POLLIN;
}

/* Returns false when nothing can be sent any more. */
static bool send_output(HfFallbackConnection *connection)
{
    const HfFastcgiResponder *responder = &connection->responder;

    while (has_output(connection)) {
        /* MSG_MORE: sends the end together with the answer, so that nobody reuses the connection.
         */
        ssize_t n = send(connection->fd, responder->out + connection->sent,
                         responder->n_out - connection->sent,
                         MSG_NOSIGNAL | (responder->verdict == HF_FASTCGI_DONE ? MSG_MORE : 0));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        connection->sent += (size_t)n;
    }
    return true;
}

/* Returns false at the end of the connection. */
static bool receive_input(HfFallbackConnection *connection)
{
    static unsigned char buffer[READ_SIZE];

    for (unsigned i = 0; i < READS_AT_ONCE && connection->bytes < BYTES_MAX; i++) {
        ssize_t n = recv(connection->fd, buffer, sizeof(buffer), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        connection->bytes += (size_t)n;
        if (connection->done)
            continue;
        if (hf_fastcgi_responder_feed(&connection->responder, buffer, (size_t)n) ==
            HF_FASTCGI_MALFORMED)
            return false;
    }
    return connection->bytes < BYTES_MAX;
}

/* Reads and writes what it can; may close it. */
static void serve_connection(HfFallbackConnection *connection)
{
    bool open = receive_input(connection);
    /* after sending everything it may still have to read */
    open = send_output(connection) && open;
    if (!open)
        close_connection(connection);
    else if (!connection->done && connection->responder.verdict == HF_FASTCGI_DONE &&
             !has_output(connection))
        shut_down(connection);
}

/* ---- the loop ---- */

typedef struct Answerer {
    const HfFallbackRequest *request;
    int *listeners; /* -1: broken */
    HfFallbackConnection *connections;
    struct pollfd *polled; /* stop_fd, listeners, connections */
    HfText answer;
    uint64_t now;
    uint64_t paused_until; /* 0: accepting */
    bool stopping;
} Answerer;

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void on_alarm(int signal)
{
    (void)signal;
}

int hf_fallback_alarm(void)
{
    const struct sigaction interrupting = {.sa_handler = on_alarm}; /* no SA_RESTART */

    return sigaction(SIGALRM, &interrupting, NULL) < 0 ? -errno : 0;
}

/* An interval timer interrupts a lost race; it repeats, since it may first expire before accept(2).
 */
int hf_fallback_accept(int listener)
{
    static const struct itimerval armed = {{0, LOST_RACE_TIME}, {0, LOST_RACE_TIME}};
    static const struct itimerval disarmed;

    if (setitimer(ITIMER_REAL, &armed, NULL) < 0)
        return -errno;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = errno;
    setitimer(ITIMER_REAL, &disarmed, NULL);
    return fd < 0 ? -error : fd;
}

static HfFallbackConnection *free_slot(Answerer *answerer)
{
    for (size_t i = 0; i < HF_ANSWERER_CONNECTIONS; i++)
        if (answerer->connections[i].fd < 0)
            return &answerer->connections[i];
    return NULL;
}

/* Returns false when the listener has no connection now. */
static bool accept_one(Answerer *answerer, size_t index)
{
    bool fastcgi = answerer->request->fastcgi[index];
    uint64_t limit = answerer->request->limits.connection;

    HfFallbackConnection *slot = free_slot(answerer);
    if (!slot || !hf_fallback_wait(answerer->listeners[index], POLLIN, 0))
        return false;
    int fd = hf_fallback_accept(answerer->listeners[index]);
    switch (fd < 0 ? -fd : 0) {
    case 0:
        break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        answerer->paused_until = answerer->now + PAUSE;
        return false;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
        answerer->listeners[index] = hf_fd_close(answerer->listeners[index]);
        return false;
    default: /* a lost race, or a connection that failed before it was accepted, accept(2) */
        return false;
    }
    open_connection(slot, fd, fastcgi ? &answerer->answer : NULL,
                    answerer->now + (fastcgi ? limit : earlier(limit, CLOSE_TIME)));
    return true;
}

static void close_listeners(Answerer *answerer)
{
    for (size_t i = 0; i < answerer->request->n; i++)
        answerer->listeners[i] = hf_fd_close(answerer->listeners[i]);
    hf_fd_close(answerer->request->released_fd);
    answerer->stopping = true;
    for (size_t i = 0; i < HF_ANSWERER_CONNECTIONS; i++)
        answerer->connections[i].deadline = earlier(
            answerer->connections[i].deadline, answerer->now + answerer->request->limits.grace);
}

/* Fills in the poll set; returns when to stop waiting, HF_USEC_INFINITY: never. */
static uint64_t prepare_poll(Answerer *answerer, int stop_fd, size_t *ret_open)
{
    struct pollfd *polled = answerer->polled;
    uint64_t until = HF_USEC_INFINITY;
    size_t open = 0;

    for (size_t i = 0; i < HF_ANSWERER_CONNECTIONS; i++) {
        HfFallbackConnection *connection = &answerer->connections[i];
        if (connection->fd >= 0 && connection->deadline <= answerer->now)
            close_connection(connection);
        struct pollfd *slot = &polled[1 + answerer->request->n + i];
        *slot = (struct pollfd){.fd = connection->fd};
        if (connection->fd < 0)
            continue;
        slot->events = events_of_connection(connection);
        until = earlier(until, connection->deadline);
        open++;
    }
    if (answerer->paused_until > answerer->now)
        until = earlier(until, answerer->paused_until);
    else
        answerer->paused_until = 0;
    bool accepting = open < HF_ANSWERER_CONNECTIONS && answerer->paused_until == 0;
    polled[0] = (struct pollfd){.fd = answerer->stopping ? -1 : stop_fd, .events = POLLIN};
    for (size_t i = 0; i < answerer->request->n; i++)
        polled[1 + i] =
            (struct pollfd){.fd = accepting ? answerer->listeners[i] : -1, .events = POLLIN};
    *ret_open = open;
    return until;
}

static int wait_for_events(const Answerer *answerer, uint64_t until)
{
    uint64_t left = until - answerer->now;
    const struct timespec timeout = {
        .tv_sec = (time_t)(left / HF_USEC_PER_SEC),
        .tv_nsec = (long)(left % HF_USEC_PER_SEC * 1000),
    };
    nfds_t n = 1 + answerer->request->n + HF_ANSWERER_CONNECTIONS;

    if (ppoll(answerer->polled, n, until == HF_USEC_INFINITY ? NULL : &timeout, NULL) >= 0)
        return 1;
    return errno == EINTR ? 0 : -errno;
}

static void serve_events(Answerer *answerer)
{
    const struct pollfd *polled = answerer->polled;
    size_t n = answerer->request->n;

    /* Connections first, as accepting changes which indexes they have. */
    for (size_t i = 0; i < HF_ANSWERER_CONNECTIONS; i++)
        if (polled[1 + n + i].fd >= 0 && polled[1 + n + i].revents != 0)
            serve_connection(&answerer->connections[i]);
    if (polled[0].revents != 0) {
        close_listeners(answerer);
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (polled[1 + i].fd >= 0 && polled[1 + i].revents != 0)
            for (unsigned taken = 0; taken < ACCEPTS_AT_ONCE && accept_one(answerer, i); taken++)
                ;
}

static int loop(Answerer *answerer, int stop_fd)
{
    for (;;) {
        size_t open;
        answerer->now = hf_clock_monotonic();
        uint64_t until = prepare_poll(answerer, stop_fd, &open);
        if (answerer->stopping && open == 0)
            return 0;
        int r = wait_for_events(answerer, until);
        if (r < 0)
            return r;
        if (r > 0) {
            answerer->now = hf_clock_monotonic();
            serve_events(answerer);
        }
    }
}

static void answerer_clear(Answerer *answerer)
{
    for (size_t i = 0; answerer->connections && i < HF_ANSWERER_CONNECTIONS; i++)
        close_connection(&answerer->connections[i]);
    hf_freep(&answerer->listeners);
    hf_freep(&answerer->connections);
    hf_freep(&answerer->polled);
    hf_text_clear(&answerer->answer);
}

int hf_fallback_serve(const HfFallbackRequest *request, int stop_fd)
{
    CLEANUP_ANSWERER Answerer answerer = {.request = request};
    size_t n = request->n;

    answerer.listeners = hf_allocate(n, sizeof(*answerer.listeners));
    answerer.polled = hf_allocate(1 + n + HF_ANSWERER_CONNECTIONS, sizeof(*answerer.polled));
    answerer.connections = hf_allocate(HF_ANSWERER_CONNECTIONS, sizeof(*answerer.connections));
    if (!answerer.listeners || !answerer.polled || !answerer.connections)
        return -ENOMEM;
    for (size_t i = 0; i < HF_ANSWERER_CONNECTIONS; i++)
        answerer.connections[i].fd = -1;
    for (size_t i = 0; i < n; i++)
        answerer.listeners[i] = request->fds[i];
    hf_fastcgi_busy_answer(request->retry_after_seconds, &answerer.answer);
    if (answerer.answer.failed)
        return -ENOMEM;
    int r = hf_fallback_alarm();
    return r < 0 ? r : loop(&answerer, stop_fd);
}

/* ---- common to all helpers ---- */

/* Returns a descriptor that is readable once SIGTERM has come, or negative errno. */
static int open_stop(void)
{
    sigset_t term;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &term, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

bool hf_fallback_wait(int fd, short events, int msec)
{
    struct pollfd one = {.fd = fd, .events = events};
    int r;

    do
        r = poll(&one, 1, msec);
    while (r < 0 && errno == EINTR);
    return r != 0;
}

void hf_helper_await(HfProcess *process)
{
    if (process->pidfd >= 0)
        hf_fallback_wait(process->pidfd, POLLIN, END_MSEC);
    hf_process_clear(process);
}

int hf_helper_begin(pid_t parent, uint64_t capabilities, int *ret_stop_fd)
{
    HF_CLEANUP_FD int stop_fd = open_stop();

    int r = stop_fd < 0 ? stop_fd : hf_privilege_leave(capabilities);
    /* switching users would have reset it */
    if (r >= 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        r = -errno;
    if (r >= 0 && getppid() != parent) /* the parent ended before this could take effect */
        r = -ESRCH;
    if (r >= 0)
        r = hf_process_raise_files();
    /* holdfast may have stopped reading what the helper still has to tell it */
    if (r >= 0 && signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        r = -errno;
    if (r < 0)
        return r;
    *ret_stop_fd = hf_fd_steal(&stop_fd);
    return 0;
}
