#include "parts/fallback/fallback_connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/fd.h"

#define READ_SIZE     65536
#define READS_AT_ONCE 16
#define BYTES_MAX     (64 * 1024 * 1024) /* a web server stops sending once it has the answer */

static void shut_down(HfFallbackConnection *connection)
{
    connection->done = true;
    if (shutdown(connection->fd, SHUT_WR) < 0)
        hf_fallback_connection_close(connection);
}

void hf_fallback_connection_open(HfFallbackConnection *connection, int fd, const HfText *answer,
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

void hf_fallback_connection_close(HfFallbackConnection *connection)
{
    connection->fd = hf_fd_close(connection->fd);
}

static bool has_output(const HfFallbackConnection *connection)
{
    return !connection->done && connection->sent < connection->responder.n_out;
}

short hf_fallback_connection_events(const HfFallbackConnection *connection)
{
    return has_output(connection) ? POLLIN | POLLOUT : POLLIN;
}

/* Returns false when nothing can be sent any more. */
static bool send_output(HfFallbackConnection *connection)
{
    const HfFastcgiResponder *responder = &connection->responder;

    while (has_output(connection)) {
        /* MSG_MORE: the end travels with the answer, so that nobody uses the connection again. */
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

void hf_fallback_connection_serve(HfFallbackConnection *connection)
{
    bool open = receive_input(connection);
    /* One that has sent its all may still read. */
    open = send_output(connection) && open;
    if (!open)
        hf_fallback_connection_close(connection);
    else if (!connection->done && connection->responder.verdict == HF_FASTCGI_DONE &&
             !has_output(connection))
        shut_down(connection);
}
