/* SPDX-License-Identifier: MIT */
/* The responder's side of a request: whole and in pieces it answers the same, in records that its
 * peer can read. The first byte is the length of the pieces. */
#include <string.h>

#include "base/memory.h"
#include "format/fastcgi.h"
#include "fuzz.h"

static HfFastcgiVerdict feed_pieces(HfFastcgiResponder *responder, const uint8_t *data, size_t size,
                                    size_t piece)
{
    HfFastcgiVerdict verdict = HF_FASTCGI_MORE;

    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        size_t before = responder->n_out;
        HfFastcgiVerdict next = hf_fastcgi_responder_feed(responder, data + at, n);
        CHECK(responder->n_out >= before && responder->n_out <= sizeof(responder->out));
        if (verdict != HF_FASTCGI_MORE)
            CHECK(next == verdict && responder->n_out == before);
        verdict = next;
    }
    return verdict;
}

typedef struct Out {
    size_t answer;    /* bytes of STDOUT */
    unsigned ends;    /* END_REQUEST records */
    unsigned replies; /* to management records */
    unsigned last;    /* type */
} Out;

static Out check_out(const HfFastcgiResponder *responder)
{
    Out out = {0};

    for (size_t at = 0; at < responder->n_out;) {
        const unsigned char *header = responder->out + at;
        CHECK(responder->n_out - at >= HF_FASTCGI_HEADER);
        size_t length = (size_t)(header[4] << 8 | header[5]);
        size_t record = HF_FASTCGI_HEADER + length + header[6];
        CHECK(header[0] == HF_FASTCGI_VERSION && header[7] == 0);
        CHECK(responder->n_out - at >= record);
        unsigned id = (unsigned)(header[2] << 8 | header[3]);
        unsigned type = out.last = header[1];
        switch (type) {
        case HF_FASTCGI_STDOUT:
            CHECK(id != 0);
            out.answer += length;
            break;
        case HF_FASTCGI_END_REQUEST:
            CHECK(id != 0 && length == HF_FASTCGI_FIXED);
            CHECK(header[HF_FASTCGI_HEADER + 4] <= HF_FASTCGI_UNKNOWN_ROLE);
            out.ends++;
            break;
        case HF_FASTCGI_UNKNOWN_TYPE:
            CHECK(id == 0 && length == HF_FASTCGI_FIXED);
            out.replies++;
            break;
        case HF_FASTCGI_GET_VALUES_RESULT:
            CHECK(id == 0);
            out.replies++;
            break;
        default:
            CHECK(false);
        }
        at += record;
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    size_t piece = input_byte(&input) % 64 + 1;
    HF_CLEANUP_TEXT HfText answer = {0};
    HfFastcgiResponder *whole = must(hf_allocate(2, sizeof(*whole)));
    HfFastcgiResponder *pieces = whole + 1;

    hf_fastcgi_busy_answer((unsigned)piece, &answer);
    CHECK(answer.length > 0 && answer.length <= HF_FASTCGI_BUSY_MAX);
    hf_fastcgi_responder_init(whole, answer.data, answer.length);
    hf_fastcgi_responder_init(pieces, answer.data, answer.length);
    HfFastcgiVerdict verdict = hf_fastcgi_responder_feed(whole, input.data, input.size);
    CHECK(feed_pieces(pieces, input.data, input.size, piece) == verdict);
    CHECK(whole->n_out == pieces->n_out && whole->n_out <= sizeof(whole->out));
    CHECK(memcmp(whole->out, pieces->out, whole->n_out) == 0);

    Out out = check_out(whole);
    CHECK(out.answer == 0 || out.answer == answer.length);
    CHECK(out.replies + out.ends <= HF_FASTCGI_REPLIES_MAX + 1);
    if (verdict == HF_FASTCGI_DONE)
        CHECK(out.ends > 0 && out.last == HF_FASTCGI_END_REQUEST);
    else
        CHECK(out.answer == 0);
    hf_freep(&whole);
    return 0;
}
