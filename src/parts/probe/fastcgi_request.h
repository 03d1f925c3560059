/* One question to whoever listens at an address: is there somebody, and what does it answer over
 * FastCGI? connect(2), unix(7). */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "format/fastcgi.h"

typedef struct HfFastcgiRequestRun HfFastcgiRequestRun;

/* result 0: answer is what came, valid during the call; whether it is a good one
 * hf_fastcgi_request_judge says. NULL when nothing but a connection was asked for. Else negative
 * errno and one line for people in error: -ETIMEDOUT, -EAGAIN (the queue of a unix socket is full),
 * -ECONNRESET (closed before its time), -EBADMSG (no FastCGI, or too much of it), or what
 * connect(2) says. The ask has been freed already. Comes from the loop, never from within
 * hf_fastcgi_request_start. */
typedef void (*HfFastcgiRequestRunCallback)(int result, const HfFastcgiAnswer *answer,
                                            const char *error, void *userdata);

/* request: copied; NULL: connect, and no more. timeout: usec, for all of it. Returns 0, or negative
 * errno (see hf_fastcgi_request). */
int hf_fastcgi_request_start(sd_event *loop, const struct sockaddr *address, socklen_t length,
                             const HfFastcgiRequest *request, uint64_t timeout,
                             HfFastcgiRequestRunCallback callback, void *userdata,
                             HfFastcgiRequestRun **ret);
/* No call back. NULL is fine. Returns NULL. */
HfFastcgiRequestRun *hf_fastcgi_request_abort(HfFastcgiRequestRun *ask);

/* Is it an answer of a service that is well: complete, with a status from 200 to 399? Returns 0, or
 * -EREMOTEIO with one printable line in why, such as "it answered 500: PHP Fatal error: ...". */
int hf_fastcgi_request_judge(const HfFastcgiAnswer *answer, HfText *why);
