#include "parts/ready_log/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "format/words.h"

#define OTHERS_MAY_WRITE 0622 /* a service that is another user opens /proc/self/fd/2 */

void hf_relay_close_outputs(HfRelay *relay)
{
    if (relay->err != relay->out)
        hf_fd_close(relay->err);
    hf_fd_close(relay->out);
    relay->out = relay->err = -1;
}

void hf_relay_clear(HfRelay *relay)
{
    hf_relay_close_outputs(relay);
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

/* ends: what the relay has as 3, 4, ...: where it tells, and the reading ends of one or two
 * streams. */
static int start(const char *text, int output, const int *ends, size_t n, HfProcess *ret)
{
    static char *const no_environment[] = {NULL};
    char *copy = strdup(text);
    char option[] = HF_RELAY_OPTION;
    char name[] = "holdfast";
    HfSpawnStage stage;

    if (!copy)
        return -ENOMEM;
    char *const argv[] = {name, option, copy, NULL};
    const HfSpawn spawn = {
        .program = "/proc/self/exe", /* also when an update has replaced the file */
        .argv = argv,
        .envp = no_environment,
        .directory = "/",
        .stdin_fd = -1,
        .stdout_fd = output,
        .stderr_fd = output,
        .fds = ends,
        .n_fds = n,
        .session = true, /* a terminal's interrupt is for holdfast */
    };
    int r = hf_process_spawn(&spawn, ret, &stage);
    free(copy);
    return r;
}

int hf_relay_start(const char *text, int output, HfRelay *ret)
{
    HfRelay relay = HF_RELAY_NONE;
    HF_CLEANUP_FD int out = -1;
    HF_CLEANUP_FD int err = -1;
    HF_CLEANUP_FD int tell = -1;
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
        r = start(text, output, ends, one ? 2 : 3, &relay.process);
    }
    if (r < 0) {
        hf_relay_clear(&relay);
        return r;
    }
    *ret = relay;
    return 0;
}

/* ---- the other end ---- */

#define TELL         3 /* HfSpawn's first */
#define FIRST_STREAM 4 /* what becomes stderr, and then, if it is another one, stdout */
#define STREAMS      2
#define PIECE        65536 /* bytes, what a pipe holds */

typedef struct Stream {
    int from; /* -1: has ended */
    int to;
    bool broken; /* nobody will ever read it: dropped, the service goes on */
    HfMatcher matcher;
} Stream;

/* It must outlive the service, whatever is sent to the group or by a shutdown, and ends with it. */
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
        } else if (errno == EAGAIN) { /* somebody made it non-blocking */
            poll(&(struct pollfd){.fd = stream->to, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            stream->broken = true;
        }
    }
}

/* Before it is passed on, which may take its time. */
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

static void relay(Stream *streams)
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

int hf_relay_main(int argc, char **argv)
{
    static Stream streams[STREAMS] = {{.from = FIRST_STREAM, .to = STDERR_FILENO},
                                      {.from = FIRST_STREAM + 1, .to = STDOUT_FILENO}};
    size_t length = argc == 3 ? strlen(argv[2]) : 0;

    if (length == 0 || length > HF_MATCHER_MAX || !is_pipe(TELL) || !is_pipe(FIRST_STREAM)) {
        hf_log(LOG_ERR, NULL, HF_RELAY_OPTION " is for holdfast's own use");
        return 2;
    }
    ignore_signals();
    if (!is_pipe(FIRST_STREAM + 1))
        streams[1].from = -1;
    for (size_t i = 0; i < STREAMS; i++)
        hf_matcher_init(&streams[i].matcher, argv[2], length);
    relay(streams);
    return EXIT_SUCCESS;
}
