#include "format/fastcgi.h"

#include <errno.h>
#include <string.h>

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

/* Returns 1 when the header is whole, 0 when bytes are missing, or -EPROTO. */
static int take_header(HfFastcgiRecords *records, const unsigned char **data, size_t *length)
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

static void take_content(HfFastcgiRecords *records, const unsigned char **data, size_t *length,
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
    int r = take_header(records, data, length);
    if (r <= 0)
        return r;
    if (*length == 0 && records->content < content_length(records))
        return 0;

    HfFastcgiPiece piece = {
        .type = records->header[1],
        .id = (uint16_t)(records->header[2] << 8 | records->header[3]),
        .length = (uint16_t)content_length(records),
    };
    take_content(records, data, length, &piece);
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
