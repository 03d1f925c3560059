#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "format/words.h"
#include "parts/ready_log/relay.h"

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
