/* Does anybody take connections at a listener? The kernel completes them by itself until the queue
 * is full; so one is made, half-closed, and a sign of life awaited at its other end. listen(2). */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

typedef struct HfTcpRequest HfTcpRequest;

/* error: NULL when somebody is there, else one line. The knock has been freed already. Comes from
 * the loop, never from within hf_tcp_request_start. */
typedef void (*HfTcpRequestCallback)(const char *error, void *userdata);

/* fd: the listener, borrowed until the call back. Somebody is there who closes the connection, says
 * anything on it, or has left nobody waiting in the queue after timeout (usec). Returns 0 or
 * negative errno. */
int hf_tcp_request_start(sd_event *loop, int fd, uint64_t timeout, HfTcpRequestCallback callback,
                         void *userdata, HfTcpRequest **ret);
/* No call back. NULL is fine. Returns NULL. */
HfTcpRequest *hf_tcp_request_abort(HfTcpRequest *knock);
