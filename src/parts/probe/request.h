/* SPDX-License-Identifier: MIT */
/* One question to whoever listens at an address: a page over FastCGI or HTTP/1.1, whether anybody
 * takes a connection, or what a command finds. Bounded in time and bytes; nothing blocks. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "config/settings.h"
#include "format/fastcgi.h"
#include "kernel/steer.h"
#include "loop/reaper.h"

typedef struct HfRequest HfRequest;

typedef struct HfRequestSpec {
    HfProbeKind kind; /* NONE: connect, and no more */
    const char *what; /* as in HfProbe */
    const char *root; /* FASTCGI: the directory of its script; NULL: what is a whole path */
    const HfFastcgiRequest *page; /* FASTCGI: all of it, in place of what, root, headers */
    const char *const *headers;   /* HTTP: as hf_http_is_header takes them; NULL: none */
    const HfReach *reach;         /* how to connect, beside the address; NULL: anyhow */
    size_t most;                  /* FASTCGI: bytes of the answer kept; 0: HF_FASTCGI_OUTPUT_MAX */
    int listener; /* TCP: the listener itself, borrowed until the callback: its queue must be empty
                     at the end; 0: not known, then as NONE */
    HfReaper *reaper;               /* EXEC: of the command */
    const char *directory;          /* EXEC: as in hf_command_start */
    const char *const *environment; /* EXEC: likewise */
    uint64_t timeout;               /* usec, for all of it */
} HfRequestSpec;

/* Valid during the call. */
typedef struct HfReply {
    int result; /* 0: good (status 200 to 399, an accepted connection, a command that succeeded).
                   -EREMOTEIO: bad. -ETIMEDOUT; -EAGAIN (a unix socket's queue is full); -ECONNRESET
                   (closed too early); -EBADMSG (another protocol, or too long); otherwise the error
                   of connect(2) */
    const char *error; /* one printable line, such as "it answered 500: PHP Fatal error: ..." */
    const char *body;  /* of a page, hostile, its beginning if it is long */
    size_t length;
} HfReply;

/* The request is over: it is not to be aborted any more. Comes from the loop, never from within
 * hf_request_start. */
typedef void (*HfRequestCallback)(const HfReply *reply, void *userdata);

/* question: borrowed during the call, as the address is, which EXEC does not need. Returns 0, or
 * negative errno (see hf_fastcgi_request, hf_http_request and hf_command_start). */
int hf_request_start(sd_event *loop, const HfRequestSpec *question, const struct sockaddr *address,
                     socklen_t length, HfRequestCallback callback, void *userdata, HfRequest **ret);
/* For commands: PREFIX_ADDRESS=ADDR, and PREFIX_SOURCE=IP where one has to connect from there. */
int hf_request_name_reach(const HfReach *reach, const char *prefix, HfText *address,
                          HfText *source);
/* No call back. NULL is fine. Returns NULL. */
HfRequest *hf_request_abort(HfRequest *request);
