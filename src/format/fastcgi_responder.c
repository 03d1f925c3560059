/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "format/fastcgi.h"

void hf_fastcgi_busy_answer(unsigned retry_after, HfText *ret)
{
    hf_text_addf(ret,
                 "Status: 503 Service Unavailable\r\n"
                 "Retry-After: %u\r\n"
                 "Content-Type: text/html; charset=utf-8\r\n"
                 "Cache-Control: no-store\r\n"
                 "\r\n"
                 "<!DOCTYPE html>\n<html lang=\"en\"><title>Service unavailable</title>\n"
                 "<h1>Service unavailable</h1>\n"
                 "<p>This service is not running at the moment. Please try again later.</p>\n",
                 retry_after);
}

void hf_fastcgi_responder_init(HfFastcgiResponder *responder, const char *answer, size_t length)
{
    assert(length > 0 && length <= HF_FASTCGI_BUSY_MAX);
    *responder = (HfFastcgiResponder){
        .verdict = HF_FASTCGI_MORE,
        .answer = answer,
        .answer_length = length,
    };
}

static void put(HfFastcgiResponder *responder, const void *bytes, size_t length)
{
    assert(length <= sizeof(responder->out) - responder->n_out);
    memcpy(responder->out + responder->n_out, bytes, length);
    responder->n_out += length;
}

static void put_header(HfFastcgiResponder *responder, uint8_t type, uint16_t id, size_t length)
{
    unsigned char header[HF_FASTCGI_HEADER];

    hf_fastcgi_header(type, id, (uint16_t)length, header);
    put(responder, header, sizeof(header));
}

static void put_end(HfFastcgiResponder *responder, uint16_t id, HfFastcgiProtocolStatus status)
{
    const unsigned char body[HF_FASTCGI_FIXED] = {[4] = (unsigned char)status};

    put_header(responder, HF_FASTCGI_END_REQUEST, id, sizeof(body));
    put(responder, body, sizeof(body));
}

static void put_answer(HfFastcgiResponder *responder)
{
    put_header(responder, HF_FASTCGI_STDOUT, responder->request, responder->answer_length);
    put(responder, responder->answer, responder->answer_length);
    put_header(responder, HF_FASTCGI_STDOUT, responder->request, 0);
    put_end(responder, responder->request, HF_FASTCGI_REQUEST_COMPLETE);
}

/* The peer can demand replies for ever, so they are counted. */
static bool may_reply(HfFastcgiResponder *responder)
{
    return responder->replies++ < HF_FASTCGI_REPLIES_MAX;
}

/* 5.1 */
static HfFastcgiVerdict parse_begin(HfFastcgiResponder *responder, const HfFastcgiPiece *piece)
{
    const unsigned char *body = responder->records.body;

    if (piece->length != HF_FASTCGI_FIXED || piece->id == responder->request)
        return HF_FASTCGI_MALFORMED;
    if (responder->request != 0) {
        if (!may_reply(responder))
            return HF_FASTCGI_MALFORMED;
        put_end(responder, piece->id, HF_FASTCGI_CANT_MPX_CONN);
        return HF_FASTCGI_MORE;
    }
    if ((body[0] << 8 | body[1]) != HF_FASTCGI_RESPONDER_ROLE) {
        put_end(responder, piece->id, HF_FASTCGI_UNKNOWN_ROLE);
        return HF_FASTCGI_DONE;
    }
    responder->request = piece->id;
    return HF_FASTCGI_MORE;
}

/* 3.4. Returns false when the bytes end inside the number. */
static bool parse_length(const unsigned char **at, const unsigned char *end, size_t *ret)
{
    if (*at == end)
        return false;
    if ((*at)[0] < 128) {
        *ret = *(*at)++;
        return true;
    }
    if (end - *at < 4)
        return false;
    *ret =
        (size_t)((*at)[0] & 0x7f) << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 | (*at)[3];
    *at += 4;
    return true;
}

static const struct {
    const char *name;
    const char *value;
} values[] = {
    {"FCGI_MAX_CONNS", "1"},
    {"FCGI_MAX_REQS", "1"},
    {"FCGI_MPXS_CONNS", "0"},
};
enum { N_VALUES = sizeof(values) / sizeof(*values) };

/* Returns whether the content is a well-formed list of names, and which of ours it contains. */
static bool find_asked(const unsigned char *at, const unsigned char *end, bool *ret_asked)
{
    while (at < end) {
        size_t name;
        size_t value;
        if (!parse_length(&at, end, &name) || !parse_length(&at, end, &value))
            return false;
        if (name > (size_t)(end - at) || value > (size_t)(end - at) - name)
            return false;
        for (size_t i = 0; i < N_VALUES; i++)
            if (name == strlen(values[i].name) && memcmp(at, values[i].name, name) == 0)
                ret_asked[i] = true;
        at += name + value;
    }
    return true;
}

/* 4.1: answers each value once, however often it is asked for. */
static HfFastcgiVerdict parse_get_values(HfFastcgiResponder *responder, const HfFastcgiPiece *piece)
{
    const unsigned char *body = responder->records.body;
    bool asked[N_VALUES] = {false};
    size_t length = 0;

    if (piece->length > HF_FASTCGI_BODY || !find_asked(body, body + piece->length, asked) ||
        !may_reply(responder))
        return HF_FASTCGI_MALFORMED;
    for (size_t i = 0; i < N_VALUES; i++)
        if (asked[i])
            length += 2 + strlen(values[i].name) + strlen(values[i].value);
    put_header(responder, HF_FASTCGI_GET_VALUES_RESULT, 0, length);
    for (size_t i = 0; i < N_VALUES; i++) {
        if (!asked[i])
            continue;
        size_t name = strlen(values[i].name);
        size_t value = strlen(values[i].value);
        put(responder, (const unsigned char[]){(unsigned char)name, (unsigned char)value}, 2);
        put(responder, values[i].name, name);
        put(responder, values[i].value, value);
    }
    return HF_FASTCGI_MORE;
}

/* 4.2 */
static HfFastcgiVerdict parse_unknown(HfFastcgiResponder *responder, uint8_t type)
{
    const unsigned char body[HF_FASTCGI_FIXED] = {type};

    if (!may_reply(responder))
        return HF_FASTCGI_MALFORMED;
    put_header(responder, HF_FASTCGI_UNKNOWN_TYPE, 0, sizeof(body));
    put(responder, body, sizeof(body));
    return HF_FASTCGI_MORE;
}

static HfFastcgiVerdict parse_management(HfFastcgiResponder *responder, const HfFastcgiPiece *piece)
{
    if (piece->type == HF_FASTCGI_GET_VALUES)
        return parse_get_values(responder, piece);
    if (piece->type == 0 || piece->type >= HF_FASTCGI_FIRST_UNKNOWN)
        return parse_unknown(responder, piece->type);
    return HF_FASTCGI_MALFORMED;
}

static HfFastcgiVerdict parse_record(HfFastcgiResponder *responder, const HfFastcgiPiece *piece)
{
    if (piece->id == 0)
        return parse_management(responder, piece);
    switch (piece->type) {
    case HF_FASTCGI_BEGIN_REQUEST:
        return parse_begin(responder, piece);
    case HF_FASTCGI_PARAMS:
        if (piece->id != responder->request || piece->length > 0)
            return HF_FASTCGI_MORE;
        put_answer(responder);
        return HF_FASTCGI_DONE;
    case HF_FASTCGI_ABORT_REQUEST: /* 5.4 */
        if (piece->id != responder->request)
            return HF_FASTCGI_MORE;
        put_end(responder, piece->id, HF_FASTCGI_REQUEST_COMPLETE);
        return HF_FASTCGI_DONE;
    case HF_FASTCGI_END_REQUEST: /* only an application may send it */
    case HF_FASTCGI_STDOUT:
    case HF_FASTCGI_STDERR:
    case HF_FASTCGI_GET_VALUES:
    case HF_FASTCGI_GET_VALUES_RESULT:
    case HF_FASTCGI_UNKNOWN_TYPE:
        return HF_FASTCGI_MALFORMED;
    default:
        return HF_FASTCGI_MORE;
    }
}

HfFastcgiVerdict hf_fastcgi_responder_feed(HfFastcgiResponder *responder, const void *data,
                                           size_t length)
{
    const unsigned char *bytes = data;
    HfFastcgiPiece piece;
    int r = 0;

    while (responder->verdict == HF_FASTCGI_MORE &&
           (r = hf_fastcgi_records_next(&responder->records, &bytes, &length, &piece)) > 0)
        if (piece.last)
            responder->verdict = parse_record(responder, &piece);
    if (r < 0)
        responder->verdict = HF_FASTCGI_MALFORMED;
    return responder->verdict;
}
