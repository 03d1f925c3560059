/* SPDX-License-Identifier: MIT */
#include "format/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define NAME_CHARACTERS                                                                            \
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* ---- request ---- */

bool hf_http_is_target(const char *target)
{
    if (target[0] != '/')
        return false;
    for (const char *at = target; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '#')
            return false;
    return true;
}

static bool is_named(const char *header, const char *name)
{
    size_t length = strlen(name);

    return strncasecmp(header, name, length) == 0 && header[length] == ':';
}

bool hf_http_is_header(const char *header)
{
    static const char *const own[] = {"Connection", "Content-Length",    "Expect", "TE",
                                      "Trailer",    "Transfer-Encoding", "Upgrade"};
    size_t name = strspn(header, NAME_CHARACTERS);

    if (name == 0 || header[name] != ':')
        return false;
    for (const char *at = header + name; *at; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        if (is_named(header, own[i]))
            return false;
    return true;
}

bool hf_http_has_header(const char *const *headers, const char *name)
{
    for (; headers && *headers; headers++)
        if (is_named(*headers, name))
            return true;
    return false;
}

int hf_http_request(const HfHttpRequest *request, HfText *ret)
{
    static const char *const fixed[][2] = {
        {"Host", "localhost"}, {"User-Agent", "holdfast/" HF_VERSION}, {"Accept", "*/*"}};

    if (!hf_http_is_target(request->target))
        return -EINVAL;
    for (const char *const *header = request->headers; header && *header; header++)
        if (!hf_http_is_header(*header))
            return -EINVAL;
    hf_text_addf(ret, "GET %s HTTP/1.1\r\n", request->target);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        if (!hf_http_has_header(request->headers, fixed[i][0]))
            hf_text_addf(ret, "%s: %s\r\n", fixed[i][0], fixed[i][1]);
    for (const char *const *header = request->headers; header && *header; header++)
        hf_text_addf(ret, "%s\r\n", *header);
    hf_text_add(ret, "Connection: close\r\n\r\n");
    return ret->failed ? -ENOMEM : 0;
}

/* ---- answer ---- */

void hf_http_reader_init(HfHttpReader *reader)
{
    *reader = (HfHttpReader){.verdict = HF_HTTP_MORE};
}

/* A number that ends at a blank, a semicolon or the end of the text. Returns whether it is one. */
static bool parse_number(const char *text, unsigned base, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = 0;
    const char *at = text;

    for (; *at && !strchr(" \t;", *at); at++) {
        const char *digit = memchr(digits, *at >= 'A' && *at <= 'F' ? *at | 0x20 : *at, base);
        if (!digit || __builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, (uint64_t)(digit - digits), &number))
            return false;
    }
    *ret = number;
    return at > text;
}

/* 4: HTTP/1.x, a blank, three digits, then the end or a reason. */
static bool parse_status(HfHttpReader *reader)
{
    const char *line = reader->line;
    uint64_t status;

    if (strncmp(line, "HTTP/1.", 7) != 0 || line[7] < '0' || line[7] > '9' || line[8] != ' ' ||
        !parse_number(line + 9, 10, &status) || strspn(line + 9, "0123456789") != 3)
        return false;
    reader->status = (unsigned)status;
    reader->has_length = reader->coded = reader->chunked = false;
    reader->part = HF_HTTP_FIELD;
    return status >= 100 && status <= 599;
}

/* 6.3: two different lengths are an error. */
static bool parse_length(HfHttpReader *reader, const char *value)
{
    uint64_t length;

    if (!parse_number(value, 10, &length) || (reader->has_length && length != reader->left))
        return false;
    reader->has_length = true;
    reader->left = length;
    return true;
}

/* 5: a name, a colon, a value; a line that begins with a blank continues the one before (5.2). */
static bool parse_field(HfHttpReader *reader)
{
    char *line = reader->line;
    size_t name = strspn(line, NAME_CHARACTERS);

    if (line[0] == ' ' || line[0] == '\t')
        return true;
    if (name == 0 || line[name] != ':')
        return false;
    char *value = line + name + 1;
    value += strspn(value, " \t");
    size_t length = strlen(value);
    while (length > 0 && strchr(" \t", value[length - 1]))
        value[--length] = '\0';
    if (is_named(line, "Content-Length"))
        return parse_length(reader, value);
    if (is_named(line, "Transfer-Encoding")) {
        reader->coded = true;
        reader->chunked = length >= 7 && strcasecmp(value + length - 7, "chunked") == 0;
    }
    return true;
}

/* 6.3: how long the body is. */
static HfHttpVerdict end_fields(HfHttpReader *reader)
{
    unsigned status = reader->status;

    if (status < 200 && status != 101) { /* an interim response: the answer itself follows */
        reader->part = HF_HTTP_STATUS;
        return HF_HTTP_MORE;
    }
    if (status == 101 || status == 204 || status == 304)
        return HF_HTTP_DONE;
    if (reader->coded)
        reader->part = reader->chunked ? HF_HTTP_CHUNK_SIZE : HF_HTTP_UNTIL_CLOSE;
    else
        reader->part = reader->has_length ? HF_HTTP_BODY : HF_HTTP_UNTIL_CLOSE;
    return reader->part == HF_HTTP_BODY && reader->left == 0 ? HF_HTTP_DONE : HF_HTTP_MORE;
}

/* line: without its line break, NUL-terminated. */
static HfHttpVerdict parse_line(HfHttpReader *reader)
{
    bool empty = reader->line[0] == '\0';

    if (reader->part == HF_HTTP_STATUS)
        return parse_status(reader) ? HF_HTTP_MORE : HF_HTTP_MALFORMED;
    if (reader->part == HF_HTTP_FIELD && empty)
        return end_fields(reader);
    if (reader->part == HF_HTTP_FIELD)
        return parse_field(reader) ? HF_HTTP_MORE : HF_HTTP_MALFORMED;
    if (reader->part == HF_HTTP_TRAILER)
        return empty ? HF_HTTP_DONE : HF_HTTP_MORE;
    if (reader->part == HF_HTTP_CHUNK_END) {
        reader->part = HF_HTTP_CHUNK_SIZE;
        return empty ? HF_HTTP_MORE : HF_HTTP_MALFORMED;
    }
    if (!parse_number(reader->line, 16, &reader->left)) /* 7.1 */
        return HF_HTTP_MALFORMED;
    reader->part = reader->left > 0 ? HF_HTTP_CHUNK : HF_HTTP_TRAILER;
    return HF_HTTP_MORE;
}

static HfHttpVerdict parse_line_byte(HfHttpReader *reader, char byte)
{
    if (byte == '\0' || reader->n_line == sizeof(reader->line) - 1)
        return HF_HTTP_MALFORMED;
    if (byte != '\n') {
        reader->line[reader->n_line++] = byte;
        return HF_HTTP_MORE;
    }
    if (reader->n_line > 0 && reader->line[reader->n_line - 1] == '\r')
        reader->n_line--;
    reader->line[reader->n_line] = '\0';
    reader->n_line = 0;
    return parse_line(reader);
}

/* Returns how many of the length (at least one) bytes belonged to the body. */
static size_t parse_body(HfHttpReader *reader, const char *data, size_t length)
{
    bool bounded = reader->part != HF_HTTP_UNTIL_CLOSE;
    size_t taken = bounded && reader->left < length ? (size_t)reader->left : length;
    size_t room = sizeof(reader->body) - reader->n_body;
    size_t kept = taken < room ? taken : room;

    memcpy(reader->body + reader->n_body, data, kept);
    reader->n_body += kept;
    if (bounded && (reader->left -= taken) == 0) {
        if (reader->part == HF_HTTP_BODY)
            reader->verdict = HF_HTTP_DONE;
        reader->part = HF_HTTP_CHUNK_END;
    }
    return taken;
}

HfHttpVerdict hf_http_reader_feed(HfHttpReader *reader, const void *data, size_t length)
{
    const char *at = data;
    const char *end = at + length;

    while (reader->verdict == HF_HTTP_MORE && at < end) {
        bool body = reader->part == HF_HTTP_BODY || reader->part == HF_HTTP_CHUNK ||
                    reader->part == HF_HTTP_UNTIL_CLOSE;
        size_t taken = 1;
        if (body)
            taken = parse_body(reader, at, (size_t)(end - at));
        else
            reader->verdict = parse_line_byte(reader, *at);
        at += taken;
        reader->bytes += taken;
        if (reader->verdict == HF_HTTP_MORE && reader->bytes > HF_HTTP_ANSWER_MAX)
            reader->verdict = HF_HTTP_MALFORMED;
    }
    return reader->verdict;
}

HfHttpVerdict hf_http_reader_close(HfHttpReader *reader)
{
    if (reader->verdict == HF_HTTP_MORE)
        reader->verdict = reader->part == HF_HTTP_UNTIL_CLOSE ? HF_HTTP_DONE : HF_HTTP_MALFORMED;
    return reader->verdict;
}

/* ---- the server's side ---- */

/* A piece of a text. Takes the part before the separator off rest. */
typedef struct Piece {
    const char *at;
    size_t length;
} Piece;

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static Piece trim(Piece piece)
{
    while (piece.length > 0 && is_blank(piece.at[piece.length - 1]))
        piece.length--;
    while (piece.length > 0 && is_blank(*piece.at)) {
        piece.at++;
        piece.length--;
    }
    return piece;
}

static Piece parse_piece(Piece *rest, char separator)
{
    const char *end = memchr(rest->at, separator, rest->length);
    Piece piece = {rest->at, end ? (size_t)(end - rest->at) : rest->length};

    rest->at += piece.length + (end ? 1 : 0);
    rest->length -= piece.length + (end ? 1 : 0);
    return trim(piece);
}

static bool is_text(Piece piece, const char *text)
{
    return piece.length == strlen(text) && strncasecmp(piece.at, text, piece.length) == 0;
}

/* qvalue, RFC 9110 12.4.2, in thousandths. */
static unsigned read_quality(Piece value)
{
    unsigned quality = 0;

    if (value.length == 0 || *value.at < '0' || *value.at > '1')
        return 0;
    for (size_t i = 0, unit = 1000; i < value.length && unit > 0; i++) {
        if (i == 1 && value.at[i] == '.')
            continue;
        if (i == 1 || value.at[i] < '0' || value.at[i] > '9')
            return 0;
        quality += (unsigned)((size_t)(value.at[i] - '0') * unit);
        unit /= 10;
    }
    return quality < 1000 ? quality : 1000;
}

/* How much one media range is wanted, in thousandths. version: the one it must name if it names
 * any. */
static unsigned weigh_range(Piece range, const char *type, const char *version)
{
    unsigned quality = 1000;

    if (!is_text(parse_piece(&range, ';'), type))
        return 0;
    while (range.length > 0) {
        Piece value = parse_piece(&range, ';');
        Piece key = parse_piece(&value, '=');
        if (is_text(key, "q"))
            quality = read_quality(value);
        else if (is_text(key, "version") && version && !is_text(value, version))
            return 0;
    }
    return quality;
}

static void weigh_accept(Piece value, unsigned *open, unsigned *plain)
{
    while (value.length > 0) {
        Piece range = parse_piece(&value, ',');
        unsigned more = weigh_range(range, "application/openmetrics-text", "1.0.0");
        *open = more > *open ? more : *open;
        more = weigh_range(range, "text/plain", NULL);
        *plain = more > *plain ? more : *plain;
    }
}

/* METHOD TARGET HTTP/1.x */
static int parse_request_line(Piece line, HfHttpAsked *ret)
{
    Piece method = parse_piece(&line, ' ');
    Piece target = parse_piece(&line, ' ');

    if (method.length == 0 || target.length == 0 || line.length != strlen("HTTP/1.x") ||
        memcmp(line.at, "HTTP/1.", strlen("HTTP/1.")) != 0)
        return -EBADMSG;
    ret->head = method.length == 4 && memcmp(method.at, "HEAD", 4) == 0;
    ret->get = ret->head || (method.length == 3 && memcmp(method.at, "GET", 3) == 0);
    ret->target = target.at;
    ret->length = target.length;
    return 0;
}

int hf_http_asked(const char *data, size_t length, HfHttpAsked *ret)
{
    Piece rest = {data, length};
    HfHttpAsked asked = {0};
    unsigned open = 0;
    unsigned plain = 0;

    for (bool first = true; memchr(rest.at, '\n', rest.length); first = false) {
        Piece line = parse_piece(&rest, '\n');
        if (first && parse_request_line(line, &asked) < 0)
            return -EBADMSG;
        if (line.length == 0) {
            asked.open_metrics = open > 0 && open >= plain;
            *ret = asked;
            return 1;
        }
        if (!first && !memchr(line.at, ':', line.length))
            return -EBADMSG;
        if (!first && is_text(parse_piece(&line, ':'), "Accept"))
            weigh_accept(line, &open, &plain);
    }
    return 0;
}
