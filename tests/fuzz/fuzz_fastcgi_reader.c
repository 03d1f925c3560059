/* SPDX-License-Identifier: MIT */
/* The client's side of an answer: whole and in pieces it reads the same. The first byte is the
 * length of the pieces. */
#include <errno.h>
#include <string.h>

#include "format/fastcgi.h"
#include "fuzz.h"

static HfFastcgiVerdict feed_pieces(HfFastcgiReader *reader, const uint8_t *data, size_t size,
                                    size_t piece)
{
    HfFastcgiVerdict verdict = HF_FASTCGI_MORE;

    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        HfFastcgiVerdict next = hf_fastcgi_reader_feed(reader, data + at, n);
        CHECK(verdict == HF_FASTCGI_MORE || next == verdict);
        verdict = next;
    }
    return verdict;
}

static bool same_text(const HfText *a, const HfText *b)
{
    return a->length == b->length && strcmp(hf_text_peek(a), hf_text_peek(b)) == 0 &&
           (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

static void check_same(const HfFastcgiReader *a, const HfFastcgiReader *b)
{
    CHECK(a->verdict == b->verdict);
    CHECK(same_text(&a->output, &b->output) && same_text(&a->errors, &b->errors));
    CHECK(a->output_cut == b->output_cut && a->errors_cut == b->errors_cut);
    CHECK(a->app_status == b->app_status && a->protocol_status == b->protocol_status);
}

static void check_answer(const HfFastcgiReader *reader)
{
    HfFastcgiAnswer untouched;
    HfFastcgiAnswer answer;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&answer, &untouched, sizeof(answer));
    int r = hf_fastcgi_reader_answer(reader, &answer);
    CHECK(r == 0 || r == -EBADMSG || r == -EPROTO);
    if (r < 0) {
        CHECK(memcmp(&answer, &untouched, sizeof(answer)) == 0);
        return;
    }
    CHECK(answer.protocol_status <= HF_FASTCGI_UNKNOWN_ROLE);
    if (answer.protocol_status == HF_FASTCGI_REQUEST_COMPLETE)
        CHECK(answer.status >= 100 && answer.status <= 599);
    else
        CHECK(answer.status == 0 && answer.body_length == 0);
    CHECK(answer.body && answer.body[answer.body_length] == '\0');
    CHECK(answer.errors && answer.errors[answer.errors_length] == '\0');
    CHECK(answer.body_length <= reader->output.length);
    CHECK(answer.errors_length == reader->errors.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    size_t piece = input_byte(&input) % 64 + 1;
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader whole;
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader pieces;

    hf_fastcgi_reader_init(&whole);
    hf_fastcgi_reader_init(&pieces);
    HfFastcgiVerdict verdict = hf_fastcgi_reader_feed(&whole, input.data, input.size);
    CHECK(verdict == whole.verdict);
    CHECK(feed_pieces(&pieces, input.data, input.size, piece) == verdict);
    check_same(&whole, &pieces);
    CHECK(whole.output.length <= HF_FASTCGI_OUTPUT_MAX);
    CHECK(whole.errors.length <= HF_FASTCGI_ERRORS_MAX);

    HfFastcgiVerdict closed = hf_fastcgi_reader_close(&whole);
    CHECK(closed == (verdict == HF_FASTCGI_DONE ? HF_FASTCGI_DONE : HF_FASTCGI_MALFORMED));
    if (closed == HF_FASTCGI_DONE)
        check_answer(&whole);
    CHECK(hf_fastcgi_reader_feed(&whole, data, size) == closed);
    return 0;
}
