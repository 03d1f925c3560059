#include "parts/probe/fastcgi_request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "format/quantity.h"
#include "run/loop.h"

#define READ_SIZE     16384
#define READS_AT_ONCE 16   /* before other sources have their turn */
#define SHOWN_MAX     1024 /* bytes of the service's own words */

struct HfFastcgiRequestRun {
    sd_event *loop;
    struct sockaddr_storage address;
    socklen_t length;
    bool fastcgi;
    bool connected;
    HfText request;
    size_t sent;
    HfFastcgiReader reader;
    size_t received; /* bytes */
    int fd;
    uint64_t timeout;
    sd_event_source *begin;
    sd_event_source *io;
    sd_event_source *timer;
    HfFastcgiRequestRunCallback callback;
    void *userdata;
};

HfFastcgiRequestRun *hf_fastcgi_request_abort(HfFastcgiRequestRun *ask)
{
    if (!ask)
        return NULL;
    sd_event_source_disable_unref(ask->begin);
    sd_event_source_disable_unref(ask->io);
    sd_event_source_disable_unref(ask->timer);
    hf_fd_close(ask->fd);
    hf_text_clear(&ask->request);
    hf_fastcgi_reader_clear(&ask->reader);
    free(ask);
    return NULL;
}

static void finish(HfFastcgiRequestRun *ask, int r, const HfFastcgiAnswer *answer,
                   const char *error)
{
    HfFastcgiReader reader = ask->reader; /* what the answer lies in */
    HfFastcgiRequestRunCallback callback = ask->callback;
    void *userdata = ask->userdata;

    hf_fastcgi_reader_init(&ask->reader);
    hf_fastcgi_request_abort(ask);
    callback(r, answer, error, userdata);
    hf_fastcgi_reader_clear(&reader);
}

static void fail(HfFastcgiRequestRun *ask, int r)
{
    switch (r) {
    case -ECONNREFUSED:
        finish(ask, r, NULL, "connection refused");
        return;
    case -ENOENT:
        finish(ask, r, NULL, "there is no such socket");
        return;
    case -EAGAIN:
        finish(ask, r, NULL, "its queue of connections is full");
        return;
    case -ECONNRESET:
    case -EPIPE:
        finish(ask, -ECONNRESET, NULL,
               ask->received > 0 ? "the connection was closed in the middle of the answer"
                                 : "the connection was closed without an answer");
        return;
    default:
        finish(ask, r, NULL, strerror(-r));
        return;
    }
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfFastcgiRequestRun *ask = userdata;
    HF_CLEANUP_TEXT HfText error = {0};

    (void)source;
    (void)usec;
    hf_text_add(&error, ask->connected ? "no answer within " : "no connection within ");
    hf_text_add_time(&error, ask->timeout);
    finish(ask, -ETIMEDOUT, NULL, hf_text_peek(&error));
    return 0;
}

static void finish_well(HfFastcgiRequestRun *ask)
{
    HfFastcgiAnswer answer;

    int r = hf_fastcgi_reader_answer(&ask->reader, &answer);
    if (r == -EBADMSG)
        finish(ask, r, NULL, "the answer has no header that a web server would take");
    else if (r == -EPROTO)
        finish(ask, -EBADMSG, NULL, "the answer is no FastCGI");
    else if (r < 0)
        fail(ask, r);
    else
        finish(ask, 0, &answer, "");
}

/* Returns 0 when there is more to send, 1 when all is sent, or negative errno. */
static int send_request(HfFastcgiRequestRun *ask)
{
    while (ask->sent < ask->request.length) {
        ssize_t n = send(ask->fd, ask->request.data + ask->sent, ask->request.length - ask->sent,
                         MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        /* it may have answered all the same */
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            ask->sent = ask->request.length;
            return 1;
        }
        if (n < 0)
            return -errno;
        ask->sent += (size_t)n;
    }
    return 1;
}

/* Returns 0 when more is to come, 1 when the answer is complete, or negative errno. */
static int receive_answer(HfFastcgiRequestRun *ask)
{
    unsigned char buffer[READ_SIZE];
    HfFastcgiVerdict verdict = HF_FASTCGI_MORE;

    for (unsigned i = 0; i < READS_AT_ONCE && verdict == HF_FASTCGI_MORE; i++) {
        ssize_t n = recv(ask->fd, buffer, sizeof(buffer), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0)
            return hf_fastcgi_reader_close(&ask->reader) == HF_FASTCGI_DONE ? 1 : -ECONNRESET;
        ask->received += (size_t)n;
        verdict = hf_fastcgi_reader_feed(&ask->reader, buffer, (size_t)n);
    }
    if (verdict == HF_FASTCGI_MALFORMED)
        return -EBADMSG;
    return verdict == HF_FASTCGI_DONE;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfFastcgiRequestRun *ask = userdata;
    int error = 0;
    socklen_t size = sizeof(error);

    if (!ask->connected) {
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
        if (error != 0) {
            fail(ask, -error);
            return 0;
        }
        ask->connected = true;
    }
    if (!ask->fastcgi) {
        finish(ask, 0, NULL, "");
        return 0;
    }
    int r = send_request(ask);
    if (r > 0)
        r = sd_event_source_set_io_events(source, EPOLLIN);
    if (r >= 0 && (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        r = receive_answer(ask);
    if (r == -EBADMSG)
        finish(ask, r, NULL,
               ask->received > HF_FASTCGI_ANSWER_MAX ? "the answer is too long"
                                                     : "the answer is no FastCGI");
    else if (r < 0)
        fail(ask, r);
    else if (r > 0)
        finish_well(ask);
    return 0;
}

static int on_begin(sd_event_source *source, void *userdata)
{
    HfFastcgiRequestRun *ask = userdata;

    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    ask->fd = socket(ask->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = ask->fd < 0 ? -errno : 0;
    if (r >= 0 && connect(ask->fd, (const struct sockaddr *)&ask->address, ask->length) < 0 &&
        errno != EINPROGRESS && errno != EINTR)
        r = -errno;
    if (r >= 0)
        r = sd_event_add_io(ask->loop, &ask->io, ask->fd, EPOLLIN | EPOLLOUT, on_io, ask);
    if (r < 0)
        fail(ask, r);
    return 0;
}

int hf_fastcgi_request_start(sd_event *loop, const struct sockaddr *address, socklen_t length,
                             const HfFastcgiRequest *request, uint64_t timeout,
                             HfFastcgiRequestRunCallback callback, void *userdata,
                             HfFastcgiRequestRun **ret)
{
    if (length > sizeof(struct sockaddr_storage))
        return -EINVAL;
    HfFastcgiRequestRun *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return -ENOMEM;
    *ask = (HfFastcgiRequestRun){
        .loop = loop,
        .length = length,
        .fastcgi = request,
        .fd = -1,
        .timeout = timeout,
        .callback = callback,
        .userdata = userdata,
    };
    memcpy(&ask->address, address, length);
    hf_fastcgi_reader_init(&ask->reader);
    int r = request ? hf_fastcgi_request(request, &ask->request) : 0;
    if (r >= 0)
        r = sd_event_add_defer(loop, &ask->begin, on_begin, ask);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &ask->timer, CLOCK_MONOTONIC, timeout,
                                       HF_LOOP_ACCURACY(timeout), on_timeout, ask);
    if (r < 0) {
        hf_fastcgi_request_abort(ask);
        return r;
    }
    *ret = ask;
    return 0;
}

int hf_fastcgi_request_judge(const HfFastcgiAnswer *answer, HfText *why)
{
    static const char *const refusals[] = {
        [HF_FASTCGI_CANT_MPX_CONN] = "it takes one request at a time only",
        [HF_FASTCGI_OVERLOADED] = "it says that it is overloaded",
        [HF_FASTCGI_UNKNOWN_ROLE] = "it is no FastCGI responder",
    };
    char words[SHOWN_MAX];
    char line[SHOWN_MAX];

    if (answer->protocol_status != HF_FASTCGI_REQUEST_COMPLETE) {
        hf_text_add(why, refusals[answer->protocol_status]);
        return -EREMOTEIO;
    }
    if (answer->status >= 200 && answer->status < 400)
        return 0;
    const char *said = answer->errors_length > 0 ? answer->errors : answer->body;
    size_t length = answer->errors_length > 0 ? answer->errors_length : answer->body_length;
    length = length < sizeof(line) ? length : sizeof(line);
    for (size_t i = 0; i < length; i++) {
        line[i] = said[i];
        if (strchr("\r\n\t", line[i])) /* a NUL, too */
            line[i] = ' ';
    }
    while (length > 0 && line[length - 1] == ' ')
        length--;
    hf_text_addf(why, "it answered %u", answer->status);
    if (hf_text_printable(line, length, words, sizeof(words)) > 0)
        hf_text_addf(why, ": %s", words);
    return -EREMOTEIO;
}
