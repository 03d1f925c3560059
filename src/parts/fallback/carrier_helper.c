/* SPDX-License-Identifier: MIT */
#include "parts/fallback/fallback_parts.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/privilege.h"
#include "kernel/socket.h"

/* The process that carries connections over. */

#define FIRST_LISTENER 3   /* HfSpawn's first */
#define CONNECTIONS    128 /* at once; more wait in the queue */
#define BUFFER_SIZE    16384
#define ENDS           2
#define IDLE_MSEC      1000                    /* without any connection, before it ends */
#define LIFE_TIME      (300 * HF_USEC_PER_SEC) /* of a connection */
#define CLOSE_TIME     HF_USEC_PER_SEC         /* for the client to close as well */
#define CLEANUP_CARRY  __attribute__((cleanup(carry_clear)))

typedef struct Task {
    int fds[HF_CARRIER_LISTENERS];           /* listeners; closed once let go */
    HfAddress targets[HF_CARRIER_LISTENERS]; /* where to relay their connections */
    size_t n;
    int counting; /* gets a byte for each connection */
} Task;

/* One direction of a connection. */
typedef struct Way {
    unsigned char buffer[BUFFER_SIZE];
    size_t first;
    size_t n;
    bool ended; /* reached the end of the input */
    bool shut;  /* and passed that on */
} Way;

/* ways[0] leads from fds[0], the accepted connection, to fds[1]; ways[1] back. */
typedef struct Carried {
    int fds[ENDS]; /* owned, non-blocking; -1: free */
    Way ways[ENDS];
    uint64_t deadline; /* usec, CLOCK_MONOTONIC */
} Carried;

typedef struct Carry {
    Task *task;
    Carried *carried;
    struct pollfd polled[1 + HF_CARRIER_LISTENERS + CONNECTIONS * ENDS];
    bool stopping;
} Carry;

static void close_carried(Carried *carried)
{
    for (size_t i = 0; i < ENDS; i++)
        carried->fds[i] = hf_fd_close(carried->fds[i]);
}

/* Returns false on a connection error. */
static bool read_some(int fd, Way *way)
{
    if (way->n > 0 || way->ended)
        return true;
    ssize_t n = recv(fd, way->buffer, sizeof(way->buffer), 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
    way->first = 0;
    way->n = (size_t)n;
    way->ended = n == 0;
    return true;
}

static bool write_some(int fd, Way *way)
{
    if (way->n > 0) {
        ssize_t n = send(fd, way->buffer + way->first, way->n, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        way->first += (size_t)n;
        way->n -= (size_t)n;
    }
    if (way->n == 0 && way->ended && !way->shut) {
        way->shut = true;
        return shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN;
    }
    return true;
}

static void move_on(Carried *carried)
{
    bool open = true;

    for (size_t i = 0; open && i < ENDS; i++)
        open = read_some(carried->fds[i], &carried->ways[i]) &&
               write_some(carried->fds[!i], &carried->ways[i]);
    uint64_t close = hf_clock_monotonic() + CLOSE_TIME;
    if (!open || (carried->ways[0].shut && carried->ways[1].shut))
        close_carried(carried);
    else if (carried->ways[1].shut && carried->deadline > close) /* the answer is complete */
        carried->deadline = close;
}

static int connect_to(const HfAddress *target)
{
    struct sockaddr_storage address;
    socklen_t length;

    int r = hf_address_to_sockaddr(target, &address, &length);
    HF_CLEANUP_FD int fd =
        r < 0 ? r : socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return r < 0 ? r : -errno;
    if (connect(fd, (const struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
        return -errno;
    return hf_fd_steal(&fd);
}

static Carried *free_place(const Carry *carry)
{
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (carry->carried[i].fds[0] < 0)
            return &carry->carried[i];
    return NULL;
}

static void take_one(Carry *carry, size_t i)
{
    Carried *place = free_place(carry);

    if (!place)
        return;
    int fd = hf_fallback_accept(carry->task->fds[i]);
    if (fd < 0)
        return;
    *place = (Carried){.fds = {fd, connect_to(&carry->task->targets[i])},
                       .deadline = hf_clock_monotonic() + LIFE_TIME};
    if (place->fds[1] < 0)
        close_carried(place);
    else if (write(carry->task->counting, "", 1) < 0)
        return; /* losing count does no harm */
}

static void close_listeners(Carry *carry)
{
    carry->stopping = true;
    for (size_t i = 0; i < carry->task->n; i++)
        carry->task->fds[i] = hf_fd_close(carry->task->fds[i]);
}

static struct pollfd poll_way(const Carried *carried, size_t end)
{
    const Way *from = &carried->ways[end];
    const Way *to = &carried->ways[!end];
    short events = 0;

    if (from->n == 0 && !from->ended)
        events |= POLLIN;
    if (to->n > 0)
        events |= POLLOUT;
    return (struct pollfd){.fd = events != 0 ? carried->fds[end] : -1, .events = events};
}

/* Returns how many connections are open. */
static size_t prepare(Carry *carry, int stop_fd)
{
    struct pollfd *polled = carry->polled;
    size_t open = 0;

    *polled++ = (struct pollfd){.fd = carry->stopping ? -1 : stop_fd, .events = POLLIN};
    for (size_t i = 0; i < carry->task->n; i++)
        *polled++ =
            (struct pollfd){.fd = free_place(carry) ? carry->task->fds[i] : -1, .events = POLLIN};
    for (size_t i = 0; i < CONNECTIONS; i++) {
        Carried *carried = &carry->carried[i];
        if (carried->fds[0] >= 0 && carried->deadline <= hf_clock_monotonic())
            close_carried(carried);
        open += carried->fds[0] >= 0;
        for (size_t end = 0; end < ENDS; end++)
            *polled++ = poll_way(carried, end);
    }
    return open;
}

static int turn(Carry *carry, int stop_fd)
{
    size_t open = prepare(carry, stop_fd);
    size_t n = 1 + carry->task->n;

    if (carry->stopping && open == 0)
        return 0;
    int r = poll(carry->polled, n + CONNECTIONS * ENDS, IDLE_MSEC);
    if (r <= 0)
        return r < 0 && errno != EINTR ? -errno : r < 0 || open > 0;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        const struct pollfd *ends = &carry->polled[n + i * ENDS];
        if (carry->carried[i].fds[0] >= 0 && (ends[0].revents != 0 || ends[1].revents != 0))
            move_on(&carry->carried[i]);
    }
    for (size_t i = 0; i < carry->task->n; i++)
        if (carry->polled[1 + i].fd >= 0 && carry->polled[1 + i].revents != 0)
            take_one(carry, i);
    if (carry->polled[0].revents != 0)
        close_listeners(carry);
    return 1;
}

static void carry_clear(Carry *carry)
{
    for (size_t i = 0; carry->carried && i < CONNECTIONS; i++)
        close_carried(&carry->carried[i]);
    hf_freep(&carry->carried);
}

/* Serves until nobody has connected for a while and no connection is open or, once stop_fd is
 * readable, until none is open. Returns 0 or negative errno. */
static int serve_task(Task *task, int stop_fd)
{
    CLEANUP_CARRY Carry carry = {.task = task};
    int r;

    carry.carried = hf_allocate(CONNECTIONS, sizeof(*carry.carried));
    if (!carry.carried)
        return -ENOMEM;
    for (size_t i = 0; i < CONNECTIONS; i++)
        carry.carried[i].fds[0] = carry.carried[i].fds[1] = -1;
    do
        r = turn(&carry, stop_fd);
    while (r > 0);
    return r;
}

static int parse_task(int argc, char **argv, Task *task, pid_t *ret_parent)
{
    const size_t n = (size_t)argc - HF_CARRIER_TARGETS;
    uint64_t parent;

    if (n == 0 || n > HF_CARRIER_LISTENERS ||
        hf_parse_uint(argv[HF_CARRIER_TARGETS - 1], INT32_MAX, &parent) < 0)
        return -EINVAL;
    for (; task->n < n; task->n++) {
        task->fds[task->n] = FIRST_LISTENER + (int)task->n;
        if (hf_address_parse(argv[HF_CARRIER_TARGETS + task->n], &task->targets[task->n]) < 0 ||
            hf_socket_verify(task->fds[task->n]) < 0)
            return -EINVAL;
    }
    task->counting = FIRST_LISTENER + (int)n;
    *ret_parent = (pid_t)parent;
    return 0;
}

int hf_carrier_main(int argc, char **argv)
{
    HF_CLEANUP_FD int stop_fd = -1;
    Task task = {0};
    uint64_t capabilities = 0;
    pid_t parent;

    int r = parse_task(argc, argv, &task, &parent);
    for (size_t i = 0; r >= 0 && i < task.n; i++)
        if (hf_address_is_path(&task.targets[i])) /* to connect to a path of another user */
            capabilities = UINT64_C(1) << CAP_DAC_OVERRIDE;
    if (r >= 0)
        r = hf_helper_begin(parent, capabilities, &stop_fd);
    if (r == -ESRCH)
        return EXIT_SUCCESS;
    if (r >= 0)
        r = hf_fallback_alarm();
    hf_privilege_confine(true);
    if (r >= 0)
        r = serve_task(&task, stop_fd);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r},
               "connections that came late cannot be carried over");
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
