/* SPDX-License-Identifier: MIT */
/* One question to the service at an address: a page over FastCGI or HTTP/1.1, whether a connection
 * is accepted, or the result of a command. Bounded in time and bytes; nothing blocks. */
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
    HfProbeKind kind; /* NONE: only connects */
    const char *what; /* as in HfProbe */
    const char *root; /* FASTCGI: the directory of its script; NULL: what is a complete path */
    const HfFastcgiRequest *page; /* FASTCGI: the whole request, instead of what, root, headers */
    const char *const *headers;   /* HTTP: valid for hf_http_is_header; NULL: none */
    const HfReach *reach;         /* how to connect, besides the address; NULL: no matter */
    size_t most;                  /* FASTCGI: bytes to keep; 0: HF_FASTCGI_OUTPUT_MAX */
    int listener; /* TCP: the listener itself, borrowed until the callback: its queue must be empty
                     at the end; 0: not known, then as NONE */
    HfReaper *reaper;               /* EXEC: of the command */
    const char *directory;          /* EXEC: as in hf_command_start */
    const char *const *environment; /* EXEC: likewise */
    uint64_t timeout;               /* usec, for everything */
} HfRequestSpec;

/* Valid during the call. */
typedef struct HfReply {
    int result; /* 0: good (status 200 to 399, an accepted connection, a command that succeeded).
                   -EREMOTEIO: bad. -ETIMEDOUT; -EAGAIN (a unix socket's queue is full); -ECONNRESET
                   (closed too early); -EBADMSG (another protocol, or too long); otherwise the error
                   of connect(2) */
    const char *error; /* one printable line, such as "it answered 500: PHP Fatal error: ..." */
    const char *body;  /* of a page, hostile, truncated */
    size_t length;
} HfReply;

/* The request is over and must not be aborted any more. Called from the loop, never from within
 * hf_request_start. */
typedef void (*HfRequestCallback)(const HfReply *reply, void *userdata);

/* question and address (not needed for EXEC) are borrowed during the call. Returns 0, or negative
 * errno (see hf_fastcgi_request, hf_http_request and hf_command_start). */
int hf_request_start(sd_event *loop, const HfRequestSpec *question, const struct sockaddr *address,
                     socklen_t length, HfRequestCallback callback, void *userdata, HfRequest **ret);
/* Environment for commands: PREFIX_ADDRESS=ADDR, and PREFIX_SOURCE=IP if they must connect from
 * there. */
int hf_request_name_reach(const HfReach *reach, const char *prefix, HfText *address,
                          HfText *source);
/* No callback. Accepts and returns NULL. */
HfRequest *hf_request_abort(HfRequest *request);
