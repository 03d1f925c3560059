/* SPDX-License-Identifier: MIT */
/* A request as holdfast's client makes it, through its own responder, back into its client. The
 * input: uri, script, document root as strings that end in NUL ("-": not given). */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "format/fastcgi.h"
#include "fuzz.h"

#define RETRY_AFTER 5

static const char *unless_dash(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

static bool good_uri(const char *uri)
{
    return *uri == '/' && is_clean(uri) && !strpbrk(uri, " #");
}

static void check_exchange(const HfText *request)
{
    HF_CLEANUP_TEXT HfText busy = {0};
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
    HfFastcgiResponder *responder = must(hf_allocate(1, sizeof(*responder)));
    HfFastcgiAnswer answer;

    hf_fastcgi_busy_answer(RETRY_AFTER, &busy);
    hf_fastcgi_responder_init(responder, busy.data, busy.length);
    CHECK(hf_fastcgi_responder_feed(responder, request->data, request->length) == HF_FASTCGI_DONE);

    hf_fastcgi_reader_init(&reader);
    CHECK(hf_fastcgi_reader_feed(&reader, responder->out, responder->n_out) == HF_FASTCGI_DONE);
    CHECK(hf_fastcgi_reader_answer(&reader, &answer) == 0);
    CHECK(answer.protocol_status == HF_FASTCGI_REQUEST_COMPLETE && answer.app_status == 0);
    CHECK(answer.status == 503 && answer.body_length > 0 && !answer.body_cut);
    CHECK(answer.errors_length == 0);
    hf_freep(&responder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_FREE char *uri = input_string(&input);
    HF_CLEANUP_FREE char *script = input_string(&input);
    HF_CLEANUP_FREE char *root = input_string(&input);
    HF_CLEANUP_TEXT HfText text = {0};
    const HfFastcgiRequest request = {
        .uri = uri, .script_filename = unless_dash(script), .document_root = unless_dash(root)};

    hf_text_add(&text, "before");
    int r = hf_fastcgi_request(&request, &text);
    CHECK(good_uri(uri) ? r == 0 || r == -E2BIG : r == -EINVAL);
    CHECK(strncmp(hf_text_peek(&text), "before", 6) == 0);
    if (r < 0) {
        CHECK(text.length == 6);
        CHECK(r != -E2BIG || size > HF_FASTCGI_PARAMS_MAX / 4);
        return 0;
    }
    CHECK(text.length <= 6 + 4 * HF_FASTCGI_HEADER + 8 + HF_FASTCGI_PARAMS_MAX);
    HfText sent = {0};
    hf_text_add_bytes(&sent, text.data + 6, text.length - 6);
    check_exchange(&sent);
    hf_text_clear(&sent);
    return 0;
}
