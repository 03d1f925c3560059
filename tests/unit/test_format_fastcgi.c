/* SPDX-License-Identifier: MIT */
#include "fastcgi_helpers.h"

#include <errno.h>

/* ---- request ---- */

static size_t read_length(const unsigned char **at)
{
    if (**at < 128)
        return *(*at)++;
    size_t length =
        (size_t)((*at)[0] & 0x7f) << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 | (*at)[3];
    *at += 4;
    return length;
}

/* The value of name in a request as an independent reader of the specification sees it, owned; NULL
 * when it is not there. */
static char *param_of(const HfText *request, const char *name)
{
    const unsigned char *record = (const unsigned char *)request->data + 16;
    assert_int_equal(record[1], PARAMS);
    size_t length = (size_t)record[4] << 8 | record[5];
    const unsigned char *at = record + 8;
    const unsigned char *end = at + length;
    char *found = NULL;

    while (at < end) {
        size_t n_name = read_length(&at);
        size_t n_value = read_length(&at);
        assert_true(n_name + n_value <= (size_t)(end - at));
        if (n_name == strlen(name) && memcmp(at, name, n_name) == 0) {
            assert_null(found);
            found = strndup((const char *)at + n_name, n_value);
        }
        at += n_name + n_value;
    }
    assert_true(at == end);
    return found;
}

static void expect_param(const HfText *request, const char *name, const char *value)
{
    char *found = param_of(request, name);

    if (value) {
        assert_non_null(found);
        assert_string_equal(found, value);
    } else {
        assert_null(found);
    }
    free(found);
}

static void request_is_four_records(void **state)
{
    static const unsigned char begin[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    static const unsigned char ends[] = {1, 4, 0, 1, 0, 0, 0, 0, 1, 5, 0, 1, 0, 0, 0, 0};
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    assert_int_equal(hf_fastcgi_request(&(HfFastcgiRequest){.uri = "/ping"}, &text), 0);
    const unsigned char *bytes = (const unsigned char *)text.data;
    assert_memory_equal(bytes, begin, sizeof(begin));
    size_t params = (size_t)bytes[20] << 8 | bytes[21];
    assert_int_equal(text.length, sizeof(begin) + 8 + params + sizeof(ends));
    assert_memory_equal(bytes + text.length - sizeof(ends), ends, sizeof(ends));
}

static void request_params(void **state)
{
    static const struct {
        HfFastcgiRequest request;
        const char *name;
        const char *query;
        const char *filename;
    } cases[] = {
        {{.uri = "/ping"}, "/ping", "", "/ping"},
        {{.uri = "/status?json"}, "/status", "json", "/status"},
        {{.uri = "/status?json&full?"}, "/status", "json&full?", "/status"},
        {{.uri = "/x?"}, "/x", "", "/x"},
        {{.uri = "/healthz.php?deep=1",
          .script_filename = "/srv/app/healthz.php",
          .document_root = "/srv/app"},
         "/healthz.php",
         "deep=1",
         "/srv/app/healthz.php"},
        {{.uri = "/healthz.php?deep=1", .document_root = "/srv/app"},
         "/healthz.php",
         "deep=1",
         "/srv/app/healthz.php"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        assert_int_equal(hf_fastcgi_request(&cases[i].request, &text), 0);
        expect_param(&text, "SCRIPT_NAME", cases[i].name);
        expect_param(&text, "QUERY_STRING", cases[i].query);
        expect_param(&text, "SCRIPT_FILENAME", cases[i].filename);
        expect_param(&text, "DOCUMENT_ROOT", cases[i].request.document_root);
        expect_param(&text, "REQUEST_URI", cases[i].request.uri);
        expect_param(&text, "REQUEST_METHOD", "GET");
        expect_param(&text, "SERVER_PROTOCOL", "HTTP/1.1");
        expect_param(&text, "GATEWAY_INTERFACE", "CGI/1.1");
        expect_param(&text, "REDIRECT_STATUS", "200");
        expect_param(&text, "CONTENT_LENGTH", NULL);
    }
}

static void request_headers_and_params(void **state)
{
    static const char *const headers[] = {"Host: example.org", "X-z~: 1", "Accept:x", NULL};
    static const char *const params[] = {"HTTPS", "on", "APP", "", NULL};
    static const struct {
        HfFastcgiRequest request;
        const char *name;
        const char *value;
    } cases[] = {
        {{.uri = "/x"}, "HTTP_HOST", "localhost"},
        {{.uri = "/x", .headers = headers + 1}, "HTTP_HOST", "localhost"},
        {{.uri = "/x", .headers = headers}, "HTTP_HOST", "example.org"},
        {{.uri = "/x", .headers = headers}, "HTTP_X_Z~", "1"},
        {{.uri = "/x", .headers = headers}, "HTTP_ACCEPT", "x"},
        {{.uri = "/x", .params = params}, "HTTPS", "on"},
        {{.uri = "/x", .params = params}, "APP", ""},
        {{.uri = "/x", .method = "HEAD"}, "REQUEST_METHOD", "HEAD"},
        {{.uri = "/x", .method = "PUT", .body = "b", .body_length = 1}, "REQUEST_METHOD", "PUT"},
        {{.uri = "/x", .body = "b", .body_length = 1}, "REQUEST_METHOD", "POST"},
        {{.uri = "/x", .body = "b", .body_length = 1}, "CONTENT_LENGTH", "1"},
        {{.uri = "/x", .body = ""}, "CONTENT_LENGTH", "0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        assert_int_equal(hf_fastcgi_request(&cases[i].request, &text), 0);
        expect_param(&text, cases[i].name, cases[i].value);
    }
}

static void request_body_is_split_into_records(void **state)
{
    static char body[65535 + 2];
    HF_CLEANUP_TEXT HfText without = {0};
    HF_CLEANUP_TEXT HfText with = {0};

    (void)state;
    memset(body, 'b', sizeof(body));
    HfFastcgiRequest request = {.uri = "/x", .body = body};
    assert_int_equal(hf_fastcgi_request(&request, &without), 0);
    request.body_length = sizeof(body);
    assert_int_equal(hf_fastcgi_request(&request, &with), 0);
    /* CONTENT_LENGTH has five digits now, not one, and there are two records before the last */
    assert_int_equal(with.length, without.length + 4 + 8 + 65535 + 8 + 2);
    const char *last = with.data + with.length - 8;
    assert_memory_equal(last - 10, "\1\5\0\1\0\2\0\0bb", 10);
    assert_memory_equal(last, "\1\5\0\1\0\0\0\0", 8);
}

static void request_long_values(void **state)
{
    static const size_t lengths[] = {127, 128, 255, 256, 30000};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        char *file = malloc(lengths[i] + 1);
        assert_non_null(file);
        memset(file, 'a', lengths[i]);
        file[0] = '/';
        file[lengths[i]] = '\0';
        assert_int_equal(
            hf_fastcgi_request(&(HfFastcgiRequest){.uri = "/x", .script_filename = file}, &text),
            0);
        expect_param(&text, "SCRIPT_FILENAME", file);
        free(file);
    }
}

static void request_refused(void **state)
{
    static const char *const uris[] = {"",      "ping",    "?json", "/a b",     "/a\tb",
                                       "/a\nb", "/a\177b", "/a#b",  "http://x/"};
    (void)state;
    for (size_t i = 0; i < sizeof(uris) / sizeof(*uris); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        assert_int_equal(hf_fastcgi_request(&(HfFastcgiRequest){.uri = uris[i]}, &text), -EINVAL);
        assert_int_equal(text.length, 0);
    }
    static const char *const headers[] = {"Accept: x", "Host", NULL};
    HF_CLEANUP_TEXT HfText untouched = {0};
    assert_int_equal(
        hf_fastcgi_request(&(HfFastcgiRequest){.uri = "/x", .headers = headers}, &untouched),
        -EINVAL);
    assert_int_equal(untouched.length, 0);
    const size_t lengths[] = {65536, 200000};
    for (size_t i = 0; i < 2; i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        char *uri = malloc(lengths[i] + 1);
        assert_non_null(uri);
        memset(uri, '/', lengths[i]);
        uri[lengths[i]] = '\0';
        assert_int_equal(hf_fastcgi_request(&(HfFastcgiRequest){.uri = uri}, &text), -E2BIG);
        assert_int_equal(text.length, 0);
        free(uri);
    }
}

/* ---- answer ---- */

/* Feeds in chunks of step bytes, each in a buffer of exactly its size. */
static HfFastcgiVerdict feed(HfFastcgiReader *reader, const HfText *text, size_t step)
{
    HfFastcgiVerdict verdict = reader->verdict;

    for (size_t at = 0; at < text->length; at += step) {
        size_t n = text->length - at < step ? text->length - at : step;
        char *chunk = malloc(n);
        assert_non_null(chunk);
        memcpy(chunk, text->data + at, n);
        verdict = hf_fastcgi_reader_feed(reader, chunk, n);
        free(chunk);
    }
    return verdict;
}

static void add_good_answer(HfText *text)
{
    add_raw(text, STDOUT, 1, "Status: 404 Not Found\r\nContent-", 31, 5);
    add_raw(text, STDERR, 1, "Primary script unknown", 22, 2);
    add_raw(text, STDOUT, 1, "Type: text/plain\r\n\r\nFile not", 28, 0);
    add(text, STDOUT, 1, " found.\n");
    add_raw(text, STDERR, 1, "", 0, 0);
    add_raw(text, STDOUT, 1, "", 0, 8);
    add_end(text, 1, 0x01020304, 0);
}

static void answer_in_any_pieces(void **state)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 8, 9, 13, 64, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
        HF_CLEANUP_TEXT HfText text = {0};
        HfFastcgiAnswer answer;

        hf_fastcgi_reader_init(&reader);
        add_good_answer(&text);
        assert_int_equal(feed(&reader, &text, steps[i]), HF_FASTCGI_DONE);
        assert_int_equal(hf_fastcgi_reader_close(&reader), HF_FASTCGI_DONE);
        assert_int_equal(hf_fastcgi_reader_answer(&reader, &answer), 0);
        assert_int_equal(answer.status, 404);
        assert_int_equal(answer.app_status, 0x01020304);
        assert_int_equal(answer.protocol_status, HF_FASTCGI_REQUEST_COMPLETE);
        assert_int_equal(answer.body_length, 16);
        assert_string_equal(answer.body, "File not found.\n");
        assert_string_equal(answer.errors, "Primary script unknown");
        assert_int_equal(answer.errors_length, 22);
        assert_false(answer.body_cut);
    }
}

static void answer_cut_anywhere_is_malformed(void **state)
{
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    add_good_answer(&text);
    for (size_t length = 0; length < text.length; length++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
        hf_fastcgi_reader_init(&reader);
        assert_int_equal(hf_fastcgi_reader_feed(&reader, text.data, length), HF_FASTCGI_MORE);
        assert_int_equal(hf_fastcgi_reader_close(&reader), HF_FASTCGI_MALFORMED);
        assert_int_equal(hf_fastcgi_reader_feed(&reader, text.data, text.length),
                         HF_FASTCGI_MALFORMED);
    }
}

static void what_follows_the_end_does_not_count(void **state)
{
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
    HF_CLEANUP_TEXT HfText text = {0};
    HfFastcgiAnswer answer;

    (void)state;
    hf_fastcgi_reader_init(&reader);
    add_good_answer(&text);
    add(&text, STDOUT, 1, "more");
    hf_text_add(&text, "garbage");
    assert_int_equal(feed(&reader, &text, text.length), HF_FASTCGI_DONE);
    assert_int_equal(feed(&reader, &text, text.length), HF_FASTCGI_DONE);
    assert_int_equal(hf_fastcgi_reader_answer(&reader, &answer), 0);
    assert_string_equal(answer.body, "File not found.\n");
}

static void answer_heads(void **state)
{
    static const struct {
        const char *output;
        int result;
        unsigned status;
        const char *body;
    } cases[] = {
        {"Content-Type: a\r\n\r\nbody", 0, 200, "body"},
        {"Content-Type: a\n\nbody\n\nmore", 0, 200, "body\n\nmore"},
        {"\r\nbody", 0, 200, "body"},
        {"\n", 0, 200, ""},
        {"Status: 204\r\n\r\n", 0, 204, ""},
        {"STATUS:503 Service Unavailable\r\n\r\n", 0, 503, ""},
        {"Status: \t 500 x\r\n\r\n", 0, 500, ""},
        {"Statusx: 500\r\n\r\n", 0, 200, ""},
        {"X: Status: 500\r\n\r\n", 0, 200, ""},
        {"X: 1\r\n\r\nStatus: 500\r\n\r\n", 0, 200, "Status: 500\r\n\r\n"},
        {"Status: 99\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status: 099\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status: 600\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status: 2000\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status: 20x\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status: OK\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status:\r\n\r\n", -EBADMSG, 0, NULL},
        {"Status: 20\r\n0\r\n\r\n", -EBADMSG, 0, NULL},
        {"", -EBADMSG, 0, NULL},
        {"body", -EBADMSG, 0, NULL},
        {"body\n\n", -EBADMSG, 0, NULL},
        {": x\r\n\r\n", -EBADMSG, 0, NULL},
        {"X: 1", -EBADMSG, 0, NULL},
        {"X: 1\r\n", -EBADMSG, 0, NULL},
        {"HTTP/1.1 200 OK\r\n\r\n", -EBADMSG, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
        HF_CLEANUP_TEXT HfText text = {0};
        HfFastcgiAnswer answer = {.status = 1};

        hf_fastcgi_reader_init(&reader);
        if (cases[i].output[0])
            add(&text, STDOUT, 1, cases[i].output);
        add_end(&text, 1, 0, 0);
        assert_int_equal(feed(&reader, &text, 3), HF_FASTCGI_DONE);
        assert_int_equal(hf_fastcgi_reader_answer(&reader, &answer), cases[i].result);
        if (cases[i].result < 0) {
            assert_int_equal(answer.status, 1);
            continue;
        }
        assert_int_equal(answer.status, cases[i].status);
        assert_string_equal(answer.body, cases[i].body);
    }
}

static void other_protocol_statuses(void **state)
{
    (void)state;
    for (unsigned status = 1; status < 256; status++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
        HF_CLEANUP_TEXT HfText text = {0};
        HfFastcgiAnswer answer;

        hf_fastcgi_reader_init(&reader);
        add_end(&text, 1, 0, status);
        assert_int_equal(feed(&reader, &text, text.length), HF_FASTCGI_DONE);
        int r = hf_fastcgi_reader_answer(&reader, &answer);
        assert_int_equal(r, status <= HF_FASTCGI_UNKNOWN_ROLE ? 0 : -EPROTO);
        if (r == 0) {
            assert_int_equal(answer.protocol_status, status);
            assert_int_equal(answer.status, 0);
            assert_string_equal(answer.body, "");
        }
    }
}

static void output_is_bounded(void **state)
{
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
    HF_CLEANUP_TEXT HfText text = {0};
    HfFastcgiAnswer answer;
    char *content = malloc(65535);

    (void)state;
    assert_non_null(content);
    memset(content, 'b', 65535);
    memcpy(content, "A: 1\r\n\r\n", 8);
    add_raw(&text, STDOUT, 1, content, 65535, 255);
    add_raw(&text, STDOUT, 1, content, 65535, 255);
    add_raw(&text, STDERR, 1, content, HF_FASTCGI_ERRORS_MAX + 1, 0);
    add_raw(&text, STDERR, 1, content, 1, 0);
    add_end(&text, 1, 0, 0);
    free(content);
    hf_fastcgi_reader_init(&reader);
    assert_int_equal(feed(&reader, &text, 4096), HF_FASTCGI_DONE);
    assert_int_equal(hf_fastcgi_reader_answer(&reader, &answer), 0);
    assert_int_equal(answer.body_length, HF_FASTCGI_OUTPUT_MAX - 8);
    assert_true(answer.body_cut);
    assert_int_equal(answer.errors_length, HF_FASTCGI_ERRORS_MAX);
    assert_int_equal(answer.body[answer.body_length], 0);
}

static void endless_answer_is_malformed(void **state)
{
    HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
    HF_CLEANUP_TEXT HfText text = {0};
    size_t fed = 0;

    (void)state;
    for (unsigned i = 0; i < 512; i++)
        add(&text, STDOUT, 1, "");
    hf_fastcgi_reader_init(&reader);
    while (hf_fastcgi_reader_feed(&reader, text.data, text.length) == HF_FASTCGI_MORE) {
        fed += text.length;
        assert_true(fed <= HF_FASTCGI_ANSWER_MAX);
    }
    assert_int_equal(fed, HF_FASTCGI_ANSWER_MAX);
    assert_int_equal(reader.verdict, HF_FASTCGI_MALFORMED);
}

static void records_that_no_application_sends(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        for (unsigned id = 0; id < 3; id++) {
            HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
            HF_CLEANUP_TEXT HfText text = {0};
            bool good = id == 0 ? type == GET_VALUES_RESULT || type == UNKNOWN_TYPE
                                : id == 1 && (type == STDOUT || type == STDERR);

            hf_fastcgi_reader_init(&reader);
            add(&text, type, id, "X: 1");
            assert_int_equal(feed(&reader, &text, 1),
                             good ? HF_FASTCGI_MORE : HF_FASTCGI_MALFORMED);
        }
    }
}

static void garbage_is_malformed_at_its_first_byte(void **state)
{
    static const char *const texts[] = {"HTTP/1.1 200 OK\r\n", "\x02", "\x16\x03\x01", "{"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
        hf_fastcgi_reader_init(&reader);
        assert_int_equal(hf_fastcgi_reader_feed(&reader, NULL, 0), HF_FASTCGI_MORE);
        assert_int_equal(hf_fastcgi_reader_feed(&reader, texts[i], 1), HF_FASTCGI_MALFORMED);
    }
}

static void end_of_a_wrong_size(void **state)
{
    static const size_t sizes[] = {0, 1, 7, 9, 300};
    static const char zeros[300];

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader reader;
        HF_CLEANUP_TEXT HfText text = {0};
        hf_fastcgi_reader_init(&reader);
        add(&text, STDOUT, 1, "X: 1\n\n");
        add_raw(&text, END_REQUEST, 1, zeros, sizes[i], 0);
        assert_int_equal(feed(&reader, &text, 4), HF_FASTCGI_MALFORMED);
    }
}

/* Whatever a byte of a good answer becomes, nothing but a verdict comes of it, the same one however
 * the bytes are cut. */
static void damaged_answers(void **state)
{
    uint32_t random = 1;
    unsigned verdicts[3] = {0};

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader whole;
        HF_CLEANUP_FASTCGI_READER HfFastcgiReader pieces;
        HF_CLEANUP_TEXT HfText text = {0};
        HfFastcgiAnswer a = {0};
        HfFastcgiAnswer b = {0};

        add_good_answer(&text);
        for (unsigned damage = next_random(&random) % 3 + 1; damage > 0; damage--)
            text.data[next_random(&random) % text.length] = (char)next_random(&random);
        hf_fastcgi_reader_init(&whole);
        hf_fastcgi_reader_init(&pieces);
        HfFastcgiVerdict verdict = feed(&whole, &text, text.length);
        assert_int_equal(feed(&pieces, &text, next_random(&random) % 11 + 1), verdict);
        verdicts[verdict]++;
        if (verdict != HF_FASTCGI_DONE)
            continue;
        assert_int_equal(hf_fastcgi_reader_answer(&whole, &a),
                         hf_fastcgi_reader_answer(&pieces, &b));
        assert_int_equal(a.status, b.status);
        assert_int_equal(a.body_length, b.body_length);
    }
    assert_true(verdicts[HF_FASTCGI_MORE] > 0 && verdicts[HF_FASTCGI_DONE] > 0 &&
                verdicts[HF_FASTCGI_MALFORMED] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_is_four_records),
        cmocka_unit_test(request_params),
        cmocka_unit_test(request_headers_and_params),
        cmocka_unit_test(request_body_is_split_into_records),
        cmocka_unit_test(request_long_values),
        cmocka_unit_test(request_refused),
        cmocka_unit_test(answer_in_any_pieces),
        cmocka_unit_test(answer_cut_anywhere_is_malformed),
        cmocka_unit_test(what_follows_the_end_does_not_count),
        cmocka_unit_test(answer_heads),
        cmocka_unit_test(other_protocol_statuses),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(endless_answer_is_malformed),
        cmocka_unit_test(records_that_no_application_sends),
        cmocka_unit_test(garbage_is_malformed_at_its_first_byte),
        cmocka_unit_test(end_of_a_wrong_size),
        cmocka_unit_test(damaged_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
