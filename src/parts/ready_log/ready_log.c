/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "format/words.h"
#include "kernel/privilege.h"
#include "run/supervisor.h"

/* ---- the relay ---- */

/* A helper process between a service's output and holdfast's: it forwards everything and reports
 * when a text occurs. holdfast itself never delays the log: if nobody reads, only the service
 * waits, and output written after holdfast was killed still arrives. */

#define RELAY_OPTION "--relay" /* for internal use only */

typedef struct Relay {
    HfProcess process; /* a child to be reaped; ends by itself once nobody can write any more */
    int out;           /* for the service's stdout; owned until that is spawned, like the next */
    int err;           /* for its stderr; the same number when both go to the same place */
    int seen;          /* gets one byte when the text has occurred; ends without it otherwise */
} Relay;

#define RELAY_NONE ((Relay){.process = HF_PROCESS_NONE, .out = -1, .err = -1, .seen = -1})

#define OTHERS_MAY_WRITE 0622 /* a service of another user may open /proc/self/fd/2 */

/* The service has its copies. */
static void relay_close_outputs(Relay *relay)
{
    if (relay->err != relay->out)
        hf_fd_close(relay->err);
    hf_fd_close(relay->out);
    relay->out = relay->err = -1;
}

static void relay_clear(Relay *relay)
{
    relay_close_outputs(relay);
    hf_fd_close(relay->seen);
    hf_process_clear(&relay->process);
    relay->seen = -1;
}

static bool same_place(int a, int b)
{
    struct stat left;
    struct stat right;

    return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

static int open_pipe(int *ret_read, int *ret_write)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_read = ends[0];
    *ret_write = ends[1];
    return fchmod(ends[1], OTHERS_MAY_WRITE) < 0 ? -errno : 0;
}

/* Executes this program again as the relay, with descriptors 3, 4, ...: where it reports, and the
 * reading ends of one or two streams. text: 1 to HF_MATCHER_MAX bytes. output: where
 * both streams go, borrowed; -1: our stdout and stderr. Returns 0 or negative errno. */
static int relay_start(const char *text, int output, Relay *ret)
{
    Relay relay = RELAY_NONE;
    HF_CLEANUP_FD int out = -1;
    HF_CLEANUP_FD int err = -1;
    HF_CLEANUP_FD int tell = -1;
    char name[] = "holdfast";
    char option[] = RELAY_OPTION;
    bool one = output >= 0 || same_place(STDOUT_FILENO, STDERR_FILENO);

    int r = open_pipe(&err, &relay.err);
    if (r >= 0 && one)
        relay.out = relay.err;
    else if (r >= 0)
        r = open_pipe(&out, &relay.out);
    if (r >= 0)
        r = open_pipe(&relay.seen, &tell);
    if (r >= 0) {
        const int ends[] = {tell, err, out};
        char *const copy = strdup(text);
        char *argv[] = {name, option, copy, NULL};
        r = copy ? hf_process_spawn_helper(argv, output, ends, one ? 2 : 3, &relay.process)
                 : -ENOMEM;
        free(copy);
    }
    if (r < 0) {
        relay_clear(&relay);
        return r;
    }
    *ret = relay;
    return 0;
}

/* ---- inside the relay ---- */

#define TELL         3 /* HfSpawn's first */
#define FIRST_STREAM 4 /* forwarded to stderr; a second one to stdout */
#define STREAMS      2
#define PIECE        65536 /* bytes, as much as a pipe holds */

typedef struct Stream {
    int from; /* -1: has ended */
    int to;
    bool broken; /* its reader has gone: discard, so that the service can go on */
    HfMatcher matcher;
} Stream;

/* It must outlive the service, whatever signals the group or a shutdown sends, and ends with it. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2};

    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        signal(ignored[i], SIG_IGN);
}

static void pass_on(Stream *stream, const char *data, size_t length)
{
    while (length > 0 && !stream->broken) {
        ssize_t n = write(stream->to, data, length);
        if (n >= 0) {
            data += n;
            length -= (size_t)n;
        } else if (errno == EAGAIN) { /* another process made it non-blocking */
            poll(&(struct pollfd){.fd = stream->to, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            stream->broken = true;
        }
    }
}

/* Before forwarding, which may block. */
static void look(Stream *stream, const char *data, size_t length, bool *told)
{
    if (*told || !hf_matcher_feed(&stream->matcher, data, length))
        return;
    *told = true;
    while (write(TELL, "", 1) < 0 && errno == EINTR)
        ;
    close(TELL);
}

static void take(Stream *stream, bool *told)
{
    static char buffer[PIECE];

    ssize_t n = read(stream->from, buffer, sizeof(buffer));
    if (n > 0) {
        look(stream, buffer, (size_t)n, told);
        pass_on(stream, buffer, (size_t)n);
    } else if (n == 0 || errno != EINTR) {
        close(stream->from);
        stream->from = -1;
    }
}

static void relay_streams(Stream *streams)
{
    bool told = false;

    while (streams[0].from >= 0 || streams[1].from >= 0) {
        struct pollfd readable[STREAMS] = {{.fd = streams[0].from, .events = POLLIN},
                                           {.fd = streams[1].from, .events = POLLIN}};
        if (poll(readable, STREAMS, -1) < 0)
            continue;
        for (size_t i = 0; i < STREAMS; i++)
            if (readable[i].revents != 0)
                take(&streams[i], &told);
    }
}

static bool is_pipe(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* The whole program when argv[1] is RELAY_OPTION. Returns the exit status. */
static int relay_main(int argc, char **argv)
{
    static Stream streams[STREAMS] = {{.from = FIRST_STREAM, .to = STDERR_FILENO},
                                      {.from = FIRST_STREAM + 1, .to = STDOUT_FILENO}};
    size_t length = argc == 3 ? strlen(argv[2]) : 0;

    if (length == 0 || length > HF_MATCHER_MAX || !is_pipe(TELL) || !is_pipe(FIRST_STREAM)) {
        hf_log(LOG_ERR, NULL, RELAY_OPTION " is for holdfast's own use");
        return 2;
    }
    ignore_signals();
    if (!is_pipe(FIRST_STREAM + 1))
        streams[1].from = -1;
    if (hf_privilege_leave(0) >= 0)
        hf_privilege_confine(false);
    for (size_t i = 0; i < STREAMS; i++)
        hf_matcher_init(&streams[i].matcher, argv[2], length);
    relay_streams(streams);
    _exit(EXIT_SUCCESS);
}

/* ---- the part ---- */

#define AWAIT_TIME HF_USEC_PER_SEC
#define LEFT_MAX   64 /* relays to wait for at the end */

typedef struct HfReadyLog {
    HfSupervisor *supervisor;
    HfRelayKind kind;         /* for generations to use */
    HfProcess left[LEFT_MAX]; /* relays of forgotten generations */
    size_t n_left;
} HfReadyLog;

/* The relay of one generation. */
typedef struct Watched {
    HfReadyLog *log;
    HfGeneration *generation;
    Relay relay;
    sd_event_source *source;
} Watched;

/* timeout: ms. */
static bool has_ended(const HfProcess *process, int timeout)
{
    return poll(&(struct pollfd){.fd = process->pidfd, .events = POLLIN}, 1, timeout) != 0;
}

static void drop_left(HfReadyLog *log, size_t i)
{
    hf_process_clear(&log->left[i]);
    log->left[i] = log->left[--log->n_left];
}

/* ---- the relay of a generation ---- */

static int on_seen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    const Watched *watched = userdata;
    char byte;

    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (read(fd, &byte, 1) == 1)
        hf_generation_ready(watched->generation);
    return 0;
}

static void on_relay_exit(const siginfo_t *info, void *userdata)
{
    const HfGeneration *generation = ((const Watched *)userdata)->generation;
    const HfLogFields fields = {.generation = generation->number};

    if (info->si_code != CLD_EXITED || info->si_status != 0)
        hf_log(LOG_ERR, &fields,
               "the relay of generation %llu has died; what the generation writes is lost",
               (unsigned long long)generation->number);
}

static void relay_ignore(void *relay)
{
    Watched *watched = relay;

    watched->source = sd_event_source_disable_unref(watched->source);
    watched->relay.seen = hf_fd_close(watched->relay.seen);
}

static void relay_forget(void *relay)
{
    Watched *watched = relay;
    HfReadyLog *log = watched->log;
    HfProcess *process = &watched->relay.process;

    relay_ignore(watched);
    for (size_t i = log->n_left; i-- > 0;)
        if (has_ended(&log->left[i], 0))
            drop_left(log, i);
    if (process->pid > 0)
        hf_reaper_forget(watched->generation->reaper, process->pid);
    if (process->pid > 0 && log->n_left < LEFT_MAX) {
        log->left[log->n_left++] = *process;
        *process = HF_PROCESS_NONE;
    }
    relay_clear(&watched->relay);
    free(watched);
}

static int relay_begin(void *userdata, HfGeneration *generation, int output, int *ret_out,
                       int *ret_err, void **ret)
{
    Watched *watched = malloc(sizeof(*watched));

    if (!watched)
        return -ENOMEM;
    *watched = (Watched){userdata, generation, RELAY_NONE, NULL};
    *ret = watched;
    Relay *relay = &watched->relay;
    int r = relay_start(generation->plan->ready_text, output, relay);
    if (r >= 0)
        r = hf_reaper_watch(generation->reaper, relay->process.pid, on_relay_exit, watched);
    if (r >= 0)
        r = sd_event_add_io(generation->loop, &watched->source, relay->seen, EPOLLIN, on_seen,
                            watched);
    *ret_out = relay->out;
    *ret_err = relay->err;
    return r;
}

static void relay_spawned(void *relay)
{
    relay_close_outputs(&((Watched *)relay)->relay);
}

/* ---- the part ---- */

static int ready_log_begin(void *state, HfText *error)
{
    HfReadyLog *log = state;
    HfSupervisor *supervisor = log->supervisor;

    (void)error;
    log->kind = (HfRelayKind){log, relay_begin, relay_spawned, relay_ignore, relay_forget};
    supervisor->runtime.relays = &log->kind;
    return 0;
}

/* Waits at most a second until they have forwarded their input; a relay without a reader, or with
 * writers that are spared, goes on by itself. */
static void ready_log_clear(void *state)
{
    HfReadyLog *log = state;
    uint64_t end = hf_clock_monotonic() + AWAIT_TIME;

    while (log->n_left > 0) {
        uint64_t now = hf_clock_monotonic();
        has_ended(&log->left[log->n_left - 1],
                  now < end ? (int)((end - now) / HF_USEC_PER_MSEC) : 0);
        drop_left(log, log->n_left - 1);
    }
}

const HfPart hf_part_ready_log = {
    .name = "ready_log",
    .mode = RELAY_OPTION,
    .mode_main = relay_main,
    .state_size = sizeof(HfReadyLog),
    .begin = ready_log_begin,
    .clear = ready_log_clear,
};
