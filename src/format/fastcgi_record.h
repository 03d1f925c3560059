/* Records of FastCGI (3.3), for both ends. Private to core/fastcgi*. */
#pragma once

#include "format/fastcgi.h"

#define HF_FASTCGI_VERSION 1

/* 8. Types and constants; the end marks what no specification knows. */
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

/* The next run of bytes of one record; an empty record is one piece without bytes. */
typedef struct HfFastcgiPiece {
    uint8_t type;
    uint16_t id;     /* 0: a management record, 3.3 */
    uint16_t length; /* of the whole content */
    const unsigned char *bytes;
    size_t n_bytes;
    bool last; /* the content is complete: its first HF_FASTCGI_BODY bytes are in body */
} HfFastcgiPiece;

/* Takes bytes from *data. Returns 1 and a piece, 0 when there are none left, or -EPROTO for another
 * version than 1. */
int hf_fastcgi_records_next(HfFastcgiRecords *records, const unsigned char **data, size_t *length,
                            HfFastcgiPiece *ret);

/* Writes a record's header, without padding. */
void hf_fastcgi_header(uint8_t type, uint16_t id, uint16_t length,
                       unsigned char ret[HF_FASTCGI_HEADER]);
