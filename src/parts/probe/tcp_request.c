#include "parts/probe/tcp_request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "format/quantity.h"
#include "kernel/queue.h"
#include "kernel/reach.h"
#include "run/loop.h"

struct HfTcpRequest {
    int listener;
    int fd;
    int error; /* errno of a connect that has failed already, or 0 */
    bool connected;
    uint64_t timeout;
    sd_event_source *io;
    sd_event_source *timer;
    HfTcpRequestCallback callback;
    void *userdata;
};

HfTcpRequest *hf_tcp_request_abort(HfTcpRequest *knock)
{
    if (!knock)
        return NULL;
    sd_event_source_disable_unref(knock->io);
    sd_event_source_disable_unref(knock->timer);
    hf_fd_close(knock->fd);
    free(knock);
    return NULL;
}

static void finish(HfTcpRequest *knock, const char *error)
{
    HfTcpRequestCallback callback = knock->callback;
    void *userdata = knock->userdata;

    hf_tcp_request_abort(knock);
    callback(error, userdata);
}

static void fail(HfTcpRequest *knock, int error)
{
    finish(knock, error == EAGAIN ? "its queue of connections is full" : strerror(error));
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfTcpRequest *knock = userdata;
    HF_CLEANUP_TEXT HfText text = {0};
    HfQueue queue;

    (void)source;
    (void)usec;
    if (knock->error != 0) {
        fail(knock, knock->error);
        return 0;
    }
    if (knock->connected && hf_queue_read(knock->listener, &queue) == 0 && queue.depth == 0) {
        finish(knock, NULL);
        return 0;
    }
    hf_text_add(&text, knock->connected ? "no connection was taken within "
                                        : "no connection was possible within ");
    hf_text_add_time(&text, knock->timeout);
    finish(knock, hf_text_peek(&text));
    return 0;
}

/* Nothing will be asked: whoever takes the connection reads its end at once. */
static void connected(HfTcpRequest *knock)
{
    knock->connected = true;
    shutdown(knock->fd, SHUT_WR);
    sd_event_source_set_io_events(knock->io, EPOLLIN);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfTcpRequest *knock = userdata;
    socklen_t length = sizeof(int);
    int error = 0;

    (void)source;
    if (knock->connected) { /* closed, reset, or spoken to: by somebody */
        finish(knock, NULL);
        return 0;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        error = errno;
    if (error != 0)
        fail(knock, error);
    else if (revents & EPOLLOUT)
        connected(knock);
    return 0;
}

static int try_connect(HfTcpRequest *knock)
{
    struct sockaddr_storage address;
    socklen_t length;

    int r = hf_socket_reach(knock->listener, &address, &length);
    if (r < 0)
        return r;
    knock->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (knock->fd < 0)
        return -errno;
    if (connect(knock->fd, (const struct sockaddr *)&address, length) < 0 && errno != EINPROGRESS)
        knock->error = errno;
    return 0;
}

int hf_tcp_request_start(sd_event *loop, int fd, uint64_t timeout, HfTcpRequestCallback callback,
                         void *userdata, HfTcpRequest **ret)
{
    HfTcpRequest *knock = calloc(1, sizeof(*knock));
    if (!knock)
        return -ENOMEM;
    *knock = (HfTcpRequest){
        .listener = fd, .fd = -1, .timeout = timeout, .callback = callback, .userdata = userdata};
    int r = try_connect(knock);
    uint64_t wait = knock->error != 0 ? 0 : timeout;
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &knock->timer, CLOCK_MONOTONIC, wait,
                                       HF_LOOP_ACCURACY(wait), on_time, knock);
    if (r >= 0 && knock->error == 0)
        r = sd_event_add_io(loop, &knock->io, knock->fd, EPOLLOUT, on_io, knock);
    if (r < 0) {
        hf_tcp_request_abort(knock);
        return r;
    }
    *ret = knock;
    return 0;
}
