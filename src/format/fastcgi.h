/* SPDX-License-Identifier: MIT */
/* FastCGI without I/O: takes received bytes, gives bytes to send and a verdict. FastCGI
 * Specification 1.0, sections as noted below; RFC 3875 for the answer inside. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define HF_FASTCGI_HEADER 8   /* bytes of a record's header, 3.3 */
#define HF_FASTCGI_BODY   256 /* bytes of a record's content kept for inspection */

typedef enum HfFastcgiVerdict {
    HF_FASTCGI_MORE,      /* feed it the next bytes */
    HF_FASTCGI_DONE,      /* reader: the answer is complete; responder: see there */
    HF_FASTCGI_MALFORMED, /* close the connection */
} HfFastcgiVerdict;

/* protocolStatus of END_REQUEST, 5.5 */
typedef enum HfFastcgiProtocolStatus {
    HF_FASTCGI_REQUEST_COMPLETE,
    HF_FASTCGI_CANT_MPX_CONN,
    HF_FASTCGI_OVERLOADED,
    HF_FASTCGI_UNKNOWN_ROLE,
} HfFastcgiProtocolStatus;

/* Position in the stream of records; private to format/fastcgi*. */
typedef struct HfFastcgiRecords {
    unsigned char header[HF_FASTCGI_HEADER];
    size_t n_header; /* bytes of the header received */
    size_t content;  /* bytes of the content received */
    size_t padding;  /* bytes still to be skipped */
    unsigned char body[HF_FASTCGI_BODY];
    size_t n_body;
} HfFastcgiRecords;

/* ---- client: one request, one connection ---- */

#define HF_FASTCGI_PARAMS_MAX 65535              /* bytes; they all go into one record */
#define HF_FASTCGI_OUTPUT_MAX (64 * 1024)        /* bytes of STDOUT kept */
#define HF_FASTCGI_ERRORS_MAX (4 * 1024)         /* bytes of STDERR kept */
#define HF_FASTCGI_ANSWER_MAX (16 * 1024 * 1024) /* bytes; a longer answer is malformed */

typedef struct HfFastcgiRequest {
    const char *uri;             /* path, and query after a ?: "/ping", "/status?json" */
    const char *script_filename; /* NULL: document_root, if any, and the path of uri; php-fpm's own
                                    pages need only the latter */
    const char *document_root;   /* NULL: not sent */
    const char *method;          /* NULL: POST with a body, else GET */
    const char *const *headers;  /* as in HfHttpRequest; NULL: none */
    const char *const *params; /* besides the others: {NAME, VALUE, NAME, ..., NULL}; NULL: none */
    const char *body;          /* NULL: none */
    size_t body_length;
} HfFastcgiRequest;

/* Appends the whole request, which asks the responder to close the connection afterwards (6.2).
 * Returns 0, -EINVAL (hf_http_is_target refuses uri, or a header is malformed), -E2BIG above
 * HF_FASTCGI_PARAMS_MAX, or -ENOMEM; ret is untouched for the first two. */
int hf_fastcgi_request(const HfFastcgiRequest *request, HfText *ret);

typedef struct HfFastcgiReader {
    HfFastcgiRecords records;
    HfFastcgiVerdict verdict;
    size_t bytes;  /* received */
    size_t most;   /* bytes of STDOUT to keep; at first HF_FASTCGI_OUTPUT_MAX */
    HfText output; /* STDOUT */
    HfText errors; /* STDERR */
    bool output_cut;
    bool errors_cut;
    uint32_t app_status;
    uint8_t protocol_status;
} HfFastcgiReader;

typedef struct HfFastcgiAnswer {
    HfFastcgiProtocolStatus protocol_status;
    uint32_t app_status; /* the exit status of a CGI program, 5.5 */
    unsigned status;     /* from the Status field, 200 without one (RFC 3875 6.3.3); 0 unless the
                            request is complete */
    const char *body;    /* borrowed from the reader, hostile; NUL-terminated after length */
    size_t body_length;
    bool body_cut;      /* truncated at HF_FASTCGI_OUTPUT_MAX */
    const char *errors; /* borrowed and hostile, too */
    size_t errors_length;
} HfFastcgiAnswer;

void hf_fastcgi_reader_init(HfFastcgiReader *reader);
void hf_fastcgi_reader_clear(HfFastcgiReader *reader);
#define HF_CLEANUP_FASTCGI_READER __attribute__((cleanup(hf_fastcgi_reader_clear)))

/* Once the verdict is not MORE it never changes, whatever follows. */
HfFastcgiVerdict hf_fastcgi_reader_feed(HfFastcgiReader *reader, const void *data, size_t length);
/* The connection has ended: DONE or MALFORMED. */
HfFastcgiVerdict hf_fastcgi_reader_close(HfFastcgiReader *reader);

/* To be called once the verdict is DONE. Returns 0, -EBADMSG when the request is complete but lacks
 * a CGI header that a web server would accept, -EPROTO for an unknown protocol status, or -ENOMEM.
 */
int hf_fastcgi_reader_answer(const HfFastcgiReader *reader, HfFastcgiAnswer *ret);

/* ---- responder: gives the same answer to every request of a web server ---- */

#define HF_FASTCGI_REPLIES_MAX 16   /* per connection, to management and multiplexed records */
#define HF_FASTCGI_BUSY_MAX    1024 /* bytes of the answer */

/* Appends the CGI answer of an outage: 503 with Retry-After (RFC 9110 10.2.3, seconds) and a short
 * page; at most HF_FASTCGI_BUSY_MAX bytes. */
void hf_fastcgi_busy_answer(unsigned retry_after, HfText *ret);

/* Holds every byte that it ever wants to send. */
#define HF_FASTCGI_RESPONDER_OUT (HF_FASTCGI_BUSY_MAX + 64 + HF_FASTCGI_REPLIES_MAX * 80)

typedef struct HfFastcgiResponder {
    HfFastcgiRecords records;
    HfFastcgiVerdict verdict;
    const char *answer; /* borrowed */
    size_t answer_length;
    uint16_t request; /* id of the request being read, 0: none */
    unsigned replies;
    unsigned char out[HF_FASTCGI_RESPONDER_OUT];
    size_t n_out; /* only grows: the caller remembers how much it has sent */
} HfFastcgiResponder;

/* answer: made by hf_fastcgi_busy_answer; must outlive the responder. */
void hf_fastcgi_responder_init(HfFastcgiResponder *responder, const char *answer, size_t length);

/* Takes bytes of the web server. MORE: send what is new in out, and feed it again. DONE: send what
 * is new in out, shut the connection down for writing, then read and discard to its end, bounded in
 * bytes and time: closing it with unread input would reset it, and the answer would be lost. DONE
 * comes as soon as the parameters are complete: a body is never waited for, and nothing is put out
 * afterwards. MALFORMED: close. */
HfFastcgiVerdict hf_fastcgi_responder_feed(HfFastcgiResponder *responder, const void *data,
                                           size_t length);

/* ---- records, 3.3, for both ends; private to format/fastcgi* ---- */

#define HF_FASTCGI_VERSION 1

/* 8. Types and constants; the end marks a type that the specification does not know. */
enum {
    HF_FASTCGI_BEGIN_REQUEST = 1,
    HF_FASTCGI_ABORT_REQUEST,
    HF_FASTCGI_END_REQUEST,
    HF_FASTCGI_PARAMS,
    HF_FASTCGI_STDIN,
    HF_FASTCGI_STDOUT,
    HF_FASTCGI_STDERR,
    HF_FASTCGI_DATA,
    HF_FASTCGI_GET_VALUES,
    HF_FASTCGI_GET_VALUES_RESULT,
    HF_FASTCGI_UNKNOWN_TYPE,
    HF_FASTCGI_FIRST_UNKNOWN,
};

#define HF_FASTCGI_RESPONDER_ROLE 1 /* 5.1 */
#define HF_FASTCGI_FIXED          8 /* content of BEGIN_REQUEST, END_REQUEST and UNKNOWN_TYPE */

/* The next run of bytes of one record; an empty record yields one piece without bytes. */
typedef struct HfFastcgiPiece {
    uint8_t type;
    uint16_t id;     /* 0: a management record, 3.3 */
    uint16_t length; /* of the whole content */
    const unsigned char *bytes;
    size_t n_bytes;
    bool last; /* the content is complete: its first HF_FASTCGI_BODY bytes are in body */
} HfFastcgiPiece;

/* Takes bytes from *data. Returns 1 and a piece, 0 when there are none left, or -EPROTO for any
 * version but 1. */
int hf_fastcgi_records_next(HfFastcgiRecords *records, const unsigned char **data, size_t *length,
                            HfFastcgiPiece *ret);

/* Writes a record's header, without padding. */
void hf_fastcgi_header(uint8_t type, uint16_t id, uint16_t length,
                       unsigned char ret[HF_FASTCGI_HEADER]);
