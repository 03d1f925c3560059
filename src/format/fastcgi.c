/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "format/fastcgi.h"
#include "format/http.h"

#define REQUEST_ID 1

/* ---- records ---- */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t skip(size_t wanted, const unsigned char **data, size_t *length)
{
    size_t n = smaller(wanted, *length);

    *data += n;
    *length -= n;
    return n;
}

static size_t content_length(const HfFastcgiRecords *records)
{
    return (size_t)(records->header[4] << 8 | records->header[5]);
}

/* Returns 1 when the header is complete, 0 when bytes are missing, or -EPROTO. */
static int parse_header(HfFastcgiRecords *records, const unsigned char **data, size_t *length)
{
    const unsigned char *bytes = *data;
    size_t n = skip(HF_FASTCGI_HEADER - records->n_header, data, length);

    if (n > 0)
        memcpy(records->header + records->n_header, bytes, n);
    records->n_header += n;
    if (records->n_header > 0 && records->header[0] != HF_FASTCGI_VERSION)
        return -EPROTO;
    if (records->n_header < HF_FASTCGI_HEADER)
        return 0;
    if (n > 0) {
        records->content = 0;
        records->n_body = 0;
        records->padding = 0;
    }
    return 1;
}

static void parse_content(HfFastcgiRecords *records, const unsigned char **data, size_t *length,
                          HfFastcgiPiece *piece)
{
    piece->bytes = *data;
    piece->n_bytes = skip(content_length(records) - records->content, data, length);
    records->content += piece->n_bytes;
    size_t kept = smaller(piece->n_bytes, HF_FASTCGI_BODY - records->n_body);
    if (kept > 0)
        memcpy(records->body + records->n_body, piece->bytes, kept);
    records->n_body += kept;
}

int hf_fastcgi_records_next(HfFastcgiRecords *records, const unsigned char **data, size_t *length,
                            HfFastcgiPiece *ret)
{
    records->padding -= skip(records->padding, data, length);
    if (records->padding > 0)
        return 0;
    int r = parse_header(records, data, length);
    if (r <= 0)
        return r;
    if (*length == 0 && records->content < content_length(records))
        return 0;

    HfFastcgiPiece piece = {
        .type = records->header[1],
        .id = (uint16_t)(records->header[2] << 8 | records->header[3]),
        .length = (uint16_t)content_length(records),
    };
    parse_content(records, data, length, &piece);
    piece.last = records->content == content_length(records);
    if (piece.last) {
        records->n_header = 0;
        records->padding = records->header[6];
    }
    *ret = piece;
    return 1;
}

void hf_fastcgi_header(uint8_t type, uint16_t id, uint16_t length,
                       unsigned char ret[HF_FASTCGI_HEADER])
{
    const unsigned char header[HF_FASTCGI_HEADER] = {
        HF_FASTCGI_VERSION,           type,
        (unsigned char)(id >> 8),     (unsigned char)(id & 0xff),
        (unsigned char)(length >> 8), (unsigned char)(length & 0xff),
    };
    memcpy(ret, header, sizeof(header));
}

/* ---- request ---- */

/* 3.4: lengths below 128 are one byte, others four. */
static void add_length(HfText *text, size_t length)
{
    const unsigned char bytes[4] = {
        (unsigned char)(length >> 24 | 0x80),
        (unsigned char)(length >> 16 & 0xff),
        (unsigned char)(length >> 8 & 0xff),
        (unsigned char)(length & 0xff),
    };
    if (length < 128)
        hf_text_add_bytes(text, (const char *)bytes + 3, 1);
    else
        hf_text_add_bytes(text, (const char *)bytes, sizeof(bytes));
}

static void add_param(HfText *text, const char *name, const char *value, size_t length)
{
    if (length > HF_FASTCGI_PARAMS_MAX) /* refused as a whole; besides, a length has only 31 bits */
        length = HF_FASTCGI_PARAMS_MAX;
    add_length(text, strlen(name));
    add_length(text, length);
    hf_text_add(text, name);
    hf_text_add_bytes(text, value, length);
}

static void add_text_param(HfText *text, const char *name, const char *value)
{
    add_param(text, name, value, strlen(value));
}

/* "User-Agent: x" is HTTP_USER_AGENT, RFC 3875 4.1.18. */
static void add_header(HfText *text, const char *header)
{
    HF_CLEANUP_TEXT HfText name = {0};
    size_t length = strcspn(header, ":");

    hf_text_addf(&name, "HTTP_%.*s", (int)length, header);
    for (char *at = name.failed ? NULL : name.data; at && *at; at++) {
        if (*at == '-')
            *at = '_';
        else if (*at >= 'a' && *at <= 'z')
            *at &= ~0x20;
    }
    hf_text_fail(text, name.failed);
    add_text_param(text, hf_text_peek(&name),
                   header + length + 1 + strspn(header + length + 1, " "));
}

static void add_headers(HfText *text, const char *const *headers)
{
    if (!hf_http_has_header(headers, "Host"))
        add_text_param(text, "HTTP_HOST", "localhost");
    for (; headers && *headers; headers++)
        add_header(text, *headers);
}

static void add_params(HfText *text, const HfFastcgiRequest *request)
{
    static const char *const fixed[][2] = {
        {"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_SOFTWARE", "holdfast/" HF_VERSION},
        {"SERVER_PROTOCOL", "HTTP/1.1"},  {"SERVER_NAME", "localhost"},
        {"SERVER_ADDR", "127.0.0.1"},     {"SERVER_PORT", "80"},
        {"REMOTE_ADDR", "127.0.0.1"},     {"REQUEST_SCHEME", "http"},
        {"REDIRECT_STATUS", "200"}, /* php-cgi refuses to work without it */
    };
    const char *method = request->method ? request->method : request->body ? "POST" : "GET";
    size_t path = strcspn(request->uri, "?");
    const char *query = request->uri[path] == '?' ? request->uri + path + 1 : "";
    const char *root = request->document_root;
    HF_CLEANUP_TEXT HfText below = {0};

    hf_text_addf(&below, "%s%.*s", root ? root : "", (int)path, request->uri);
    const char *script = request->script_filename ? request->script_filename : hf_text_peek(&below);
    hf_text_fail(text, below.failed);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        add_text_param(text, fixed[i][0], fixed[i][1]);
    add_text_param(text, "REQUEST_METHOD", method);
    add_headers(text, request->headers);
    add_text_param(text, "REQUEST_URI", request->uri);
    add_param(text, "SCRIPT_NAME", request->uri, path);
    add_param(text, "DOCUMENT_URI", request->uri, path);
    add_text_param(text, "SCRIPT_FILENAME", script);
    add_text_param(text, "QUERY_STRING", query);
    if (request->document_root)
        add_text_param(text, "DOCUMENT_ROOT", request->document_root);
    if (request->body) {
        HF_CLEANUP_TEXT HfText length = {0};
        hf_text_addf(&length, "%zu", request->body_length);
        hf_text_fail(text, length.failed);
        add_text_param(text, "CONTENT_LENGTH", hf_text_peek(&length));
    }
    for (const char *const *param = request->params; param && *param; param += 2)
        add_text_param(text, param[0], param[1]);
}

static void add_record(HfText *text, uint8_t type, const char *content, size_t length)
{
    unsigned char header[HF_FASTCGI_HEADER];

    hf_fastcgi_header(type, REQUEST_ID, (uint16_t)length, header);
    hf_text_add_bytes(text, (const char *)header, sizeof(header));
    hf_text_add_bytes(text, content, length);
}

int hf_fastcgi_request(const HfFastcgiRequest *request, HfText *ret)
{
    static const char begin[HF_FASTCGI_FIXED] = {0, HF_FASTCGI_RESPONDER_ROLE}; /* no KEEP_CONN */
    HF_CLEANUP_TEXT HfText params = {0};

    if (!hf_http_is_target(request->uri))
        return -EINVAL;
    for (const char *const *header = request->headers; header && *header; header++)
        if (!hf_http_is_header(*header))
            return -EINVAL;
    add_params(&params, request);
    if (params.failed)
        return -ENOMEM;
    if (params.length > HF_FASTCGI_PARAMS_MAX)
        return -E2BIG;
    add_record(ret, HF_FASTCGI_BEGIN_REQUEST, begin, sizeof(begin));
    add_record(ret, HF_FASTCGI_PARAMS, params.data, params.length);
    add_record(ret, HF_FASTCGI_PARAMS, "", 0);
    for (size_t done = 0, part; done < request->body_length; done += part) {
        part = smaller(request->body_length - done, UINT16_MAX);
        add_record(ret, HF_FASTCGI_STDIN, request->body + done, part);
    }
    add_record(ret, HF_FASTCGI_STDIN, "", 0);
    return ret->failed ? -ENOMEM : 0;
}

/* ---- answer ---- */

void hf_fastcgi_reader_init(HfFastcgiReader *reader)
{
    *reader = (HfFastcgiReader){.verdict = HF_FASTCGI_MORE, .most = HF_FASTCGI_OUTPUT_MAX};
}

void hf_fastcgi_reader_clear(HfFastcgiReader *reader)
{
    hf_text_clear(&reader->output);
    hf_text_clear(&reader->errors);
}

static void append_bounded(HfText *text, size_t maximum, const HfFastcgiPiece *piece, bool *cut)
{
    size_t room = maximum - text->length;

    if (piece->n_bytes > room)
        *cut = true;
    hf_text_add_bytes(text, (const char *)piece->bytes,
                      piece->n_bytes < room ? piece->n_bytes : room);
}

static HfFastcgiVerdict parse_end(HfFastcgiReader *reader, const HfFastcgiPiece *piece)
{
    const unsigned char *body = reader->records.body;

    if (piece->length != HF_FASTCGI_FIXED)
        return HF_FASTCGI_MALFORMED;
    if (!piece->last)
        return HF_FASTCGI_MORE;
    reader->app_status =
        (uint32_t)body[0] << 24 | (uint32_t)body[1] << 16 | (uint32_t)body[2] << 8 | body[3];
    reader->protocol_status = body[4];
    return HF_FASTCGI_DONE;
}

static HfFastcgiVerdict parse_piece(HfFastcgiReader *reader, const HfFastcgiPiece *piece)
{
    if (piece->id == 0) /* management records were not asked for, but are harmless */
        return piece->type == HF_FASTCGI_GET_VALUES_RESULT || piece->type == HF_FASTCGI_UNKNOWN_TYPE
                   ? HF_FASTCGI_MORE
                   : HF_FASTCGI_MALFORMED;
    if (piece->id != REQUEST_ID)
        return HF_FASTCGI_MALFORMED;
    switch (piece->type) {
    case HF_FASTCGI_STDOUT:
        append_bounded(&reader->output, reader->most, piece, &reader->output_cut);
        return HF_FASTCGI_MORE;
    case HF_FASTCGI_STDERR:
        append_bounded(&reader->errors, HF_FASTCGI_ERRORS_MAX, piece, &reader->errors_cut);
        return HF_FASTCGI_MORE;
    case HF_FASTCGI_END_REQUEST:
        return parse_end(reader, piece);
    default:
        return HF_FASTCGI_MALFORMED;
    }
}

HfFastcgiVerdict hf_fastcgi_reader_feed(HfFastcgiReader *reader, const void *data, size_t length)
{
    const unsigned char *bytes = data;
    HfFastcgiPiece piece;
    int r = 0;

    if (reader->verdict != HF_FASTCGI_MORE)
        return reader->verdict;
    if (length > HF_FASTCGI_ANSWER_MAX - reader->bytes)
        return reader->verdict = HF_FASTCGI_MALFORMED;
    reader->bytes += length;
    while (reader->verdict == HF_FASTCGI_MORE &&
           (r = hf_fastcgi_records_next(&reader->records, &bytes, &length, &piece)) > 0)
        reader->verdict = parse_piece(reader, &piece);
    if (r < 0)
        reader->verdict = HF_FASTCGI_MALFORMED;
    return reader->verdict;
}

HfFastcgiVerdict hf_fastcgi_reader_close(HfFastcgiReader *reader)
{
    if (reader->verdict == HF_FASTCGI_MORE)
        reader->verdict = HF_FASTCGI_MALFORMED;
    return reader->verdict;
}

/* RFC 3875 6.3.3: three digits, then the end or a reason. Returns 0 if it is anything else. */
static unsigned parse_status(const char *value, size_t length)
{
    unsigned status = 0;

    while (length > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        length--;
    }
    if (length < 3 || (length > 3 && value[3] != ' '))
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (value[i] < '0' || value[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(value[i] - '0');
    }
    return status >= 100 && status <= 599 ? status : 0;
}

/* RFC 3875 6.2: fields, an empty line, the body. */
static int split_output(const HfText *output, HfFastcgiAnswer *answer)
{
    const char *at = hf_text_peek(output);
    const char *end = at + output->length;

    answer->status = 200;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return -EBADMSG;
        size_t length = (size_t)(newline - at);
        if (length > 0 && at[length - 1] == '\r')
            length--;
        if (length == 0) {
            answer->body = newline + 1;
            answer->body_length = (size_t)(end - answer->body);
            return 0;
        }
        const char *colon = memchr(at, ':', length);
        if (!colon || colon == at)
            return -EBADMSG;
        if (colon - at == 6 && strncasecmp(at, "Status", 6) == 0) {
            answer->status = parse_status(colon + 1, length - 7);
            if (answer->status == 0)
                return -EBADMSG;
        }
        at = newline + 1;
    }
    return -EBADMSG;
}

int hf_fastcgi_reader_answer(const HfFastcgiReader *reader, HfFastcgiAnswer *ret)
{
    HfFastcgiAnswer answer = {
        .protocol_status = reader->protocol_status,
        .app_status = reader->app_status,
        .body = "",
        .body_cut = reader->output_cut,
        .errors = hf_text_peek(&reader->errors),
        .errors_length = reader->errors.length,
    };

    assert(reader->verdict == HF_FASTCGI_DONE);
    if (reader->output.failed || reader->errors.failed)
        return -ENOMEM;
    if (reader->protocol_status > HF_FASTCGI_UNKNOWN_ROLE)
        return -EPROTO;
    if (answer.protocol_status == HF_FASTCGI_REQUEST_COMPLETE) {
        int r = split_output(&reader->output, &answer);
        if (r < 0)
            return r;
    }
    *ret = answer;
    return 0;
}
