/* SPDX-License-Identifier: MIT */
/* The client's side of an HTTP answer: whole and in pieces it reads the same. The first byte is the
 * length of the pieces. What is read is also tried as a target and a header. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/http.h"
#include "fuzz.h"

static HfHttpVerdict feed_pieces(HfHttpReader *reader, const uint8_t *data, size_t size,
                                 size_t piece)
{
    HfHttpVerdict verdict = HF_HTTP_MORE;

    for (size_t at = 0; at < size; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        HfHttpVerdict next = hf_http_reader_feed(reader, data + at, n);
        CHECK(verdict == HF_HTTP_MORE || next == verdict);
        verdict = next;
    }
    return verdict;
}

static void check_answer(const uint8_t *data, size_t size, size_t piece)
{
    HfHttpReader whole;
    HfHttpReader pieces;

    hf_http_reader_init(&whole);
    hf_http_reader_init(&pieces);
    HfHttpVerdict verdict = hf_http_reader_feed(&whole, data, size);
    CHECK(verdict == whole.verdict);
    CHECK(feed_pieces(&pieces, data, size, piece) == verdict);
    CHECK(whole.bytes == pieces.bytes && whole.bytes <= size);
    CHECK(whole.status == pieces.status && whole.n_body == pieces.n_body);
    CHECK(memcmp(whole.body, pieces.body, whole.n_body) == 0);
    CHECK(whole.n_body <= HF_HTTP_BODY_KEPT);

    HfHttpVerdict closed = hf_http_reader_close(&whole);
    CHECK(closed != HF_HTTP_MORE && (verdict == HF_HTTP_MORE || closed == verdict));
    CHECK(closed != HF_HTTP_DONE || whole.status == 101 ||
          (whole.status >= 200 && whole.status <= 599));
    CHECK(hf_http_reader_feed(&whole, data, size) == closed);
}

/* No text that is taken makes a second header, or an early end. */
static void check_request(char *text)
{
    HF_CLEANUP_TEXT HfText asked = {0};
    const char *headers[] = {text, NULL};

    if (hf_http_request(&(HfHttpRequest){.target = "/", .headers = headers}, &asked) == 0) {
        CHECK(hf_http_is_header(text));
        CHECK(count_of(hf_text_peek(&asked), '\n') <= 7);
        CHECK(strstr(hf_text_peek(&asked), "\r\n\r\n") == hf_text_peek(&asked) + asked.length - 4);
    }
    hf_text_clear(&asked);
    if (hf_http_request(&(HfHttpRequest){.target = text}, &asked) == 0) {
        CHECK(hf_http_is_target(text));
        CHECK(count_of(hf_text_peek(&asked), '\n') == 6);
    }
}

/* The server's side: whatever follows the head changes nothing, and nothing is read beyond it. */
static void check_asked(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    HfHttpAsked whole = {0};
    HfHttpAsked part = {0};
    int r = hf_http_asked(bytes, size, &whole);

    CHECK(r == 0 || r == 1 || r == -EBADMSG);
    for (size_t length = 0; length < size && length < 256; length++) {
        int cut = hf_http_asked(bytes, length, &part);
        CHECK(cut == 0 || cut == r);
        if (cut == 1)
            CHECK(part.target == whole.target && part.length == whole.length &&
                  part.open_metrics == whole.open_metrics && part.get == whole.get);
    }
    if (r == 1)
        CHECK(whole.length > 0 && whole.target > bytes &&
              whole.target + whole.length < bytes + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    size_t piece = input_byte(&input) % 64 + 1;

    check_answer(input.data, input.size, piece);
    check_asked(input.data, input.size);
    char *text = input_string(&input);
    check_request(text);
    free(text);
    return 0;
}
