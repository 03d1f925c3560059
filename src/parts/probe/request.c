/* SPDX-License-Identifier: MIT */
#include "parts/probe/request.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/text.h"
#include "format/fastcgi.h"
#include "format/http.h"
#include "kernel/sock_diag.h"
#include "loop/capture.h"
#include "loop/reaper.h"
#include "run/plan.h"

#define READ_SIZE     16384
#define READS_AT_ONCE 16   /* before other sources get their turn */
#define SHOWN_MAX     1024 /* bytes of the service's own text */

struct HfRequest {
    sd_event *loop;
    HfProbeKind kind;
    struct sockaddr_storage address;
    socklen_t length;
    HfReach reach; /* except for the address */
    int listener;
    uint64_t timeout;
    int fd;
    bool connected;
    HfText out;
    size_t sent;
    size_t received; /* bytes */
    HfFastcgiReader fastcgi;
    HfHttpReader *http; /* NULL for any other kind */
    HfCapture *command;
    sd_event_source *begin;
    sd_event_source *io;
    sd_event_source *timer;
    HfRequestCallback callback;
    void *userdata;
};

HfRequest *hf_request_abort(HfRequest *request)
{
    if (!request)
        return NULL;
    sd_event_source_disable_unref(request->begin);
    sd_event_source_disable_unref(request->io);
    sd_event_source_disable_unref(request->timer);
    hf_capture_abort(request->command);
    hf_fd_close(request->fd);
    hf_text_clear(&request->out);
    hf_fastcgi_reader_clear(&request->fastcgi);
    free(request->http);
    free(request);
    return NULL;
}

/* Frees the request after the callback, as the reply points into it. */
static void request_end(HfRequest *request, const HfReply *reply)
{
    request->begin = sd_event_source_disable_unref(request->begin);
    request->io = sd_event_source_disable_unref(request->io);
    request->timer = sd_event_source_disable_unref(request->timer);
    request->fd = hf_fd_close(request->fd);
    request->callback(reply, request->userdata);
    hf_request_abort(request);
}

static void request_failed(HfRequest *request, int r, const char *error)
{
    request_end(request, &(HfReply){.result = r, .error = error, .body = ""});
}

static void request_good(HfRequest *request)
{
    request_failed(request, 0, "");
}

static void request_error(HfRequest *request, int r)
{
    bool begun = request->received > 0;

    switch (r) {
    case -ECONNREFUSED:
        request_failed(request, r, "connection refused");
        return;
    case -ENOENT:
        request_failed(request, r, "there is no such socket");
        return;
    case -EAGAIN:
        request_failed(request, r, "its queue of connections is full");
        return;
    case -ECONNRESET:
    case -EPIPE:
        request_failed(request, -ECONNRESET,
                       begun ? "the connection was closed in the middle of the answer"
                             : "the connection was closed without an answer");
        return;
    default:
        request_failed(request, r, strerror(-r));
        return;
    }
}

/* The kernel completes connections by itself until the queue is full, so only an empty queue proves
 * that the service accepts. */
static bool was_taken(const HfRequest *request)
{
    HfQueue queue;

    return request->connected && hf_queue_read(request->listener, &queue) == 0 && queue.depth == 0;
}

static int on_request_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfRequest *request = userdata;
    HF_CLEANUP_TEXT HfText error = {0};

    (void)source;
    (void)usec;
    if (request->kind == HF_PROBE_TCP && was_taken(request)) {
        request_good(request);
        return 0;
    }
    const char *missing =
        request->kind == HF_PROBE_TCP ? "no connection was taken within " : "no answer within ";
    hf_text_add(&error, request->connected ? missing : "no connection within ");
    hf_text_add_time(&error, request->timeout);
    request_failed(request, -ETIMEDOUT, hf_text_peek(&error));
    return 0;
}

/* ---- pages ---- */

/* Explains a bad status, with the service's own text, on one line. */
static void request_judge(HfRequest *request, unsigned status, const char *said, size_t length,
                          HfReply *reply)
{
    HF_CLEANUP_TEXT HfText why = {0};
    char words[SHOWN_MAX];
    char line[SHOWN_MAX];

    if (status >= 200 && status < 400) {
        request_end(request, reply);
        return;
    }
    length = length < sizeof(line) ? length : sizeof(line);
    for (size_t i = 0; i < length; i++) {
        line[i] = said[i];
        if (strchr("\r\n\t", line[i])) /* matches a NUL as well */
            line[i] = ' ';
    }
    while (length > 0 && line[length - 1] == ' ')
        length--;
    hf_text_addf(&why, "it answered %u", status);
    if (hf_text_printable(line, length, words, sizeof(words)) > 0)
        hf_text_addf(&why, ": %s", words);
    reply->result = -EREMOTEIO;
    reply->error = hf_text_peek(&why);
    request_end(request, reply);
}

static void judge_fastcgi(HfRequest *request)
{
    static const char *const refusals[] = {
        [HF_FASTCGI_CANT_MPX_CONN] = "it takes one request at a time only",
        [HF_FASTCGI_OVERLOADED] = "it says that it is overloaded",
        [HF_FASTCGI_UNKNOWN_ROLE] = "it is not a FastCGI responder",
    };
    HfFastcgiAnswer answer;

    int r = hf_fastcgi_reader_answer(&request->fastcgi, &answer);
    if (r == -EBADMSG) {
        request_failed(request, r, "the answer has no header that a web server would take");
    } else if (r == -EPROTO) {
        request_failed(request, -EBADMSG, "the answer is not FastCGI");
    } else if (r < 0) {
        request_error(request, r);
    } else if (answer.protocol_status != HF_FASTCGI_REQUEST_COMPLETE) {
        request_failed(request, -EREMOTEIO, refusals[answer.protocol_status]);
    } else {
        HfReply reply = {.error = "", .body = answer.body, .length = answer.body_length};
        bool errors = answer.errors_length > 0;
        request_judge(request, answer.status, errors ? answer.errors : answer.body,
                      errors ? answer.errors_length : answer.body_length, &reply);
    }
}

static void judge_http(HfRequest *request)
{
    const HfHttpReader *reader = request->http;
    HfReply reply = {.error = "", .body = reader->body, .length = reader->n_body};

    request_judge(request, reader->status, reader->body, reader->n_body, &reply);
}

/* length 0: the connection has ended. Returns 0 when more is to come, 1 when the answer is
 * complete, or negative errno. */
static int feed_reader(HfRequest *request, const void *data, size_t length)
{
    if (request->http) {
        HfHttpVerdict verdict = length > 0 ? hf_http_reader_feed(request->http, data, length)
                                           : hf_http_reader_close(request->http);
        return verdict == HF_HTTP_MALFORMED ? -EBADMSG : verdict == HF_HTTP_DONE;
    }
    HfFastcgiVerdict verdict = length > 0 ? hf_fastcgi_reader_feed(&request->fastcgi, data, length)
                                          : hf_fastcgi_reader_close(&request->fastcgi);
    return verdict == HF_FASTCGI_MALFORMED ? -EBADMSG : verdict == HF_FASTCGI_DONE;
}

/* Returns as feed_reader. */
static int receive_answer(HfRequest *request)
{
    unsigned char buffer[READ_SIZE];
    int r = 0;

    for (unsigned i = 0; i < READS_AT_ONCE && r == 0; i++) {
        ssize_t n = recv(request->fd, buffer, sizeof(buffer), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        request->received += (size_t)n;
        r = feed_reader(request, buffer, (size_t)n);
        if (n == 0)
            return r > 0 ? r : -ECONNRESET;
    }
    return r;
}

/* Returns 0 when there is more to send, 1 when everything has been sent, or negative errno. */
static int send_request(HfRequest *request)
{
    while (request->sent < request->out.length) {
        ssize_t n = send(request->fd, request->out.data + request->sent,
                         request->out.length - request->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        /* it may have answered nevertheless */
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            request->sent = request->out.length;
            return 1;
        }
        if (n < 0)
            return -errno;
        request->sent += (size_t)n;
    }
    return 1;
}

static void exchange(HfRequest *request, uint32_t revents)
{
    int r = send_request(request);

    if (r > 0)
        r = sd_event_source_set_io_events(request->io, EPOLLIN);
    if (r >= 0 && (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        r = receive_answer(request);
    if (r == -EBADMSG && request->received > HF_FASTCGI_ANSWER_MAX)
        request_failed(request, r, "the answer is too long");
    else if (r == -EBADMSG)
        request_failed(request, r,
                       request->http ? "the answer is not HTTP" : "the answer is not FastCGI");
    else if (r < 0)
        request_error(request, r);
    else if (r > 0 && request->http)
        judge_http(request);
    else if (r > 0)
        judge_fastcgi(request);
}

/* ---- connections ---- */

static int on_request_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfRequest *request = userdata;
    bool connected = request->connected;
    socklen_t size = sizeof(int);
    int error = 0;

    if (!connected && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    request->connected = error == 0;
    if (error != 0) {
        request_error(request, -error);
    } else if (request->out.length > 0) {
        exchange(request, revents);
    } else if (request->kind == HF_PROBE_TCP && !connected) {
        /* nothing will be asked: whoever accepts it reads the end at once, and closes it or speaks
         */
        shutdown(fd, SHUT_WR);
        sd_event_source_set_io_events(source, EPOLLIN);
    } else {
        request_good(request);
    }
    return 0;
}

static int on_request_begin(sd_event_source *source, void *userdata)
{
    HfRequest *request = userdata;

    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    int fd = request->fd =
        socket(request->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 ? -errno : 0;
    if (r >= 0)
        r = hf_steer_bind(fd, &request->reach);
    if (r >= 0 && connect(fd, (const struct sockaddr *)&request->address, request->length) < 0 &&
        errno != EINPROGRESS && errno != EINTR)
        r = -errno;
    if (r >= 0)
        r = sd_event_add_io(request->loop, &request->io, fd, EPOLLIN | EPOLLOUT, on_request_io,
                            request);
    if (r < 0)
        request_error(request, r);
    return 0;
}

static int begin_connection(HfRequest *request)
{
    int r = sd_event_add_defer(request->loop, &request->begin, on_request_begin, request);

    return r < 0 ? r
                 : sd_event_add_time_relative(request->loop, &request->timer, CLOCK_MONOTONIC,
                                              request->timeout, HF_LOOP_ACCURACY(request->timeout),
                                              on_request_timeout, request);
}

/* ---- the start ---- */

static void on_request_command(const HfCaptured *captured, void *userdata)
{
    HfRequest *request = userdata;
    HF_CLEANUP_TEXT HfText error = {0};

    request->command = NULL;
    if (hf_command_succeeded(captured)) {
        request_good(request);
        return;
    }
    hf_command_explain("the command", captured, request->timeout, &error);
    request_failed(request, -EREMOTEIO, hf_text_peek(&error));
}

static int begin_kind(HfRequest *request, const HfRequestSpec *question)
{
    HF_CLEANUP_STRV char **environment = NULL;
    int r = 0;

    if (question->kind == HF_PROBE_EXEC) {
        r = hf_environment_make(NULL, question->environment, &environment);
        if (r >= 0)
            r = hf_command_start(request->loop, question->reaper, question->what,
                                 question->directory, environment, question->timeout,
                                 on_request_command, request, &request->command);
        return r;
    }
    if (question->kind == HF_PROBE_FASTCGI) {
        const HfFastcgiRequest page = {.uri = question->what, .document_root = question->root};
        r = hf_fastcgi_request(question->page ? question->page : &page, &request->out);
    } else if (question->kind == HF_PROBE_HTTP) {
        const HfHttpRequest page = {.target = question->what, .headers = question->headers};
        request->http = malloc(sizeof(*request->http));
        if (!request->http)
            return -ENOMEM;
        hf_http_reader_init(request->http);
        r = hf_http_request(&page, &request->out);
    } else if (question->listener <= 0) {
        request->kind = HF_PROBE_NONE;
    }
    return r < 0 ? r : begin_connection(request);
}

int hf_request_start(sd_event *loop, const HfRequestSpec *question, const struct sockaddr *address,
                     socklen_t length, HfRequestCallback callback, void *userdata, HfRequest **ret)
{
    if (length > sizeof(struct sockaddr_storage))
        return -EINVAL;
    HfRequest *request = hf_allocate(1, sizeof(*request));
    if (!request)
        return -ENOMEM;
    *request = (HfRequest){
        .loop = loop,
        .kind = question->kind,
        .length = length,
        .listener = question->listener,
        .timeout = question->timeout,
        .fd = -1,
        .callback = callback,
        .userdata = userdata,
    };
    if (length > 0)
        memcpy(&request->address, address, length);
    hf_fastcgi_reader_init(&request->fastcgi);
    if (question->most > 0)
        request->fastcgi.most = question->most;
    if (question->reach)
        request->reach = *question->reach;
    int r = begin_kind(request, question);
    if (r < 0) {
        hf_request_abort(request);
        return r;
    }
    *ret = request;
    return 0;
}

static int name_one(const struct sockaddr_storage *sockaddr, socklen_t length, char *ret)
{
    HfAddress address;

    int r = hf_address_from_sockaddr(sockaddr, length, &address);
    if (r >= 0)
        hf_address_format(&address, ret);
    return r;
}

int hf_request_name_reach(const HfReach *reach, const char *prefix, HfText *address, HfText *source)
{
    char text[HF_ADDRESS_TEXT_MAX];

    int r = name_one(&reach->address, reach->length, text);
    if (r < 0)
        return r;
    hf_text_addf(address, "%s_ADDRESS=%s%s", prefix, text[0] == '/' ? "unix:" : "", text);
    if (reach->source_length > 0 && name_one(&reach->source, reach->source_length, text) >= 0)
        hf_text_addf(source, "%s_SOURCE=%.*s", prefix, (int)(strrchr(text, ':') - text), text);
    return 0;
}
