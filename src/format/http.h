/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 without I/O. Client: one request on one connection, bytes to send, received bytes to a
 * verdict. Server: the head of one request. RFC 9112, the sections named in the source. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define HF_HTTP_LINE_MAX   8192               /* bytes of one line of an answer */
#define HF_HTTP_BODY_KEPT  1024               /* bytes of its body that are kept */
#define HF_HTTP_ANSWER_MAX (16 * 1024 * 1024) /* bytes; a longer answer is malformed */

typedef struct HfHttpRequest {
    const char *target;         /* path, and query after a ?: "/healthz?deep=1" */
    const char *const *headers; /* "NAME: VALUE", valid for hf_http_is_header; each replaces the
                                   standard one of its name, such as Host. NULL: none */
} HfHttpRequest;

/* Does it begin with a slash, and contain no fragment, blanks or control characters? */
bool hf_http_is_target(const char *target);
/* Is it a request field that affects neither length nor connection? */
bool hf_http_is_header(const char *header);
/* Does headers (see HfHttpRequest) contain one of that name? */
bool hf_http_has_header(const char *const *headers, const char *name);

/* Appends a GET that asks for the connection to be closed. Returns 0, -EINVAL (target or a header
 * is invalid; nothing is appended then), or -ENOMEM. */
int hf_http_request(const HfHttpRequest *request, HfText *ret);

typedef enum HfHttpVerdict {
    HF_HTTP_MORE,      /* feed it the next bytes */
    HF_HTTP_DONE,      /* the answer is complete */
    HF_HTTP_MALFORMED, /* close the connection */
} HfHttpVerdict;

/* What the next byte belongs to. */
typedef enum HfHttpPart {
    HF_HTTP_STATUS,
    HF_HTTP_FIELD,
    HF_HTTP_BODY,       /* left: bytes still to come */
    HF_HTTP_CHUNK_SIZE, /* a line with the length of the next chunk */
    HF_HTTP_CHUNK,      /* left: bytes still to come */
    HF_HTTP_CHUNK_END,  /* the empty line after it */
    HF_HTTP_TRAILER,    /* a field after the last chunk */
    HF_HTTP_UNTIL_CLOSE,
} HfHttpPart;

typedef struct HfHttpReader {
    HfHttpVerdict verdict;
    HfHttpPart part;
    size_t bytes;    /* received */
    unsigned status; /* 200 to 599 or 101; valid once the verdict is DONE */
    bool has_length;
    bool coded;   /* it has a Transfer-Encoding */
    bool chunked; /* whose last coding is chunked */
    uint64_t left;
    size_t n_line;
    size_t n_body;
    char line[HF_HTTP_LINE_MAX];
    char body[HF_HTTP_BODY_KEPT]; /* hostile, its first n_body bytes */
} HfHttpReader;

void hf_http_reader_init(HfHttpReader *reader);
/* Once the verdict is not MORE it never changes, whatever follows. */
HfHttpVerdict hf_http_reader_feed(HfHttpReader *reader, const void *data, size_t length);
/* The connection has ended: DONE or MALFORMED. */
HfHttpVerdict hf_http_reader_close(HfHttpReader *reader);

/* ---- the server's side: the head of one request ---- */

typedef struct HfHttpAsked {
    bool get;           /* GET or HEAD */
    bool head;          /* HEAD */
    const char *target; /* borrowed, hostile, like the rest: */
    size_t length;
    bool open_metrics; /* prefers OpenMetrics 1.0.0 to plain text */
} HfHttpAsked;

/* Returns 1, 0 when more is to come, or -EBADMSG if it is not an HTTP/1 request. */
int hf_http_asked(const char *data, size_t length, HfHttpAsked *ret);
