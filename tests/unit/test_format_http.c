/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "format/http.h"

/* ---- request ---- */

static void a_request_closes_the_connection(void **state)
{
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    assert_int_equal(hf_http_request(&(HfHttpRequest){.target = "/healthz?deep=1"}, &text), 0);
    assert_string_equal(text.data, "GET /healthz?deep=1 HTTP/1.1\r\n"
                                   "Host: localhost\r\n"
                                   "User-Agent: holdfast/" HF_VERSION "\r\n"
                                   "Accept: */*\r\n"
                                   "Connection: close\r\n\r\n");
}

static void headers_replace_and_add(void **state)
{
    const char *headers[] = {"host: www.example.org", "X-Probe:yes", "Accept: text/html", NULL};
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    assert_int_equal(hf_http_request(&(HfHttpRequest){.target = "/", .headers = headers}, &text),
                     0);
    assert_string_equal(text.data, "GET / HTTP/1.1\r\n"
                                   "User-Agent: holdfast/" HF_VERSION "\r\n"
                                   "host: www.example.org\r\n"
                                   "X-Probe:yes\r\n"
                                   "Accept: text/html\r\n"
                                   "Connection: close\r\n\r\n");
}

static void what_is_no_request_is_refused(void **state)
{
    static const char *const targets[] = {"",     "healthz", "http://x/", "/a b",
                                          "/a#b", "/\x7f",   "/a\r\nb: c"};
    static const char *const wrong[] = {"",
                                        ":",
                                        ": x",
                                        "no colon",
                                        "a b: c",
                                        "X: a\r\nY: b",
                                        "X: \x7f",
                                        "Connection:",
                                        "te: gzip",
                                        "Content-Length: 3",
                                        "expect: 100-continue",
                                        "Upgrade: websocket",
                                        "Trailer: X",
                                        "TRANSFER-ENCODING: chunked"};
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
        assert_int_equal(hf_http_request(&(HfHttpRequest){.target = targets[i]}, &text), -EINVAL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        const char *headers[] = {"X-Good: 1", wrong[i], NULL};
        const HfHttpRequest request = {.target = "/", .headers = headers};
        assert_false(hf_http_is_header(wrong[i]));
        assert_int_equal(hf_http_request(&request, &text), -EINVAL);
    }
    assert_int_equal(text.length, 0);
    assert_true(hf_http_is_header("X-Odd:\tvalue with blanks"));
    assert_true(hf_http_is_header("TEA: yes"));
}

static void no_memory_is_said(void **state)
{
    HF_CLEANUP_TEXT HfText text = {0};

    (void)state;
    hf_text_fail(&text, true);
    assert_int_equal(hf_http_request(&(HfHttpRequest){.target = "/"}, &text), -ENOMEM);
}

/* ---- answer ---- */

typedef struct Conversation {
    const char *bytes;
    HfHttpVerdict fed;
    HfHttpVerdict closed; /* once the connection has ended */
    unsigned status;
    const char *body;
} Conversation;

static void converse(const Conversation *conversation, size_t piece)
{
    size_t length = strlen(conversation->bytes);
    HfHttpReader reader;
    HfHttpVerdict verdict = HF_HTTP_MORE;

    hf_http_reader_init(&reader);
    for (size_t at = 0; at < length; at += piece)
        verdict = hf_http_reader_feed(&reader, conversation->bytes + at,
                                      length - at < piece ? length - at : piece);
    assert_int_equal(verdict, conversation->fed);
    verdict = hf_http_reader_close(&reader);
    assert_int_equal(verdict, conversation->closed);
    assert_int_equal(hf_http_reader_feed(&reader, "x", 1), verdict);
    assert_int_equal(hf_http_reader_close(&reader), verdict);
    if (verdict != HF_HTTP_DONE)
        return;
    assert_int_equal(reader.status, conversation->status);
    assert_int_equal(reader.n_body, strlen(conversation->body));
    assert_memory_equal(reader.body, conversation->body, reader.n_body);
}

#define MORE HF_HTTP_MORE
#define DONE HF_HTTP_DONE
#define BAD  HF_HTTP_MALFORMED

static void check_all(const Conversation *conversations, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t piece = 1; piece <= 64; piece *= 4)
            converse(&conversations[i], piece);
}

static void answers_with_a_known_end(void **state)
{
    static const Conversation conversations[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong", DONE, DONE, 200, "pong"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong and more", DONE, DONE, 200, "pong"},
        {"HTTP/1.1 204\r\n\r\n", DONE, DONE, 204, ""},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", DONE, DONE, 304, ""},
        {"HTTP/1.1 101 Switching\r\n\r\n", DONE, DONE, 101, ""},
        {"HTTP/1.0 500 \ncontent-length:\t2 \n\nno", DONE, DONE, 500, "no"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", DONE, DONE, 200, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", DONE, DONE, 200,
         "x"},
        {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 1\r\n\r\nx", DONE, DONE, 200,
         "x"},
        {"HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103 Early\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         DONE, DONE, 200, "x"},
    };

    (void)state;
    check_all(conversations, sizeof(conversations) / sizeof(*conversations));
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"

static void answers_in_chunks(void **state)
{
    static const Conversation conversations[] = {
        {CHUNKED "0\r\n\r\n", DONE, DONE, 200, ""},
        {CHUNKED "2;a=b\r\npo\r\n2\r\nng\r\n0\r\nX: y\r\n\r\n", DONE, DONE, 200, "pong"},
        {CHUNKED "A \r\n0123456789\r\n00\r\n\r\n", DONE, DONE, 200, "0123456789"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\nx\r\n0\r\n\r\n",
         DONE, DONE, 200, "x"},
        {CHUNKED "2\r\npo\r\n", MORE, BAD, 0, ""},
        {CHUNKED "2\r\np", MORE, BAD, 0, ""},
        {CHUNKED "0\r\n", MORE, BAD, 0, ""},
        {CHUNKED "2\r\npong\r\n", BAD, BAD, 0, ""},
        {CHUNKED "\r\n", BAD, BAD, 0, ""},
        {CHUNKED "-1\r\n", BAD, BAD, 0, ""},
        {CHUNKED "g\r\n", BAD, BAD, 0, ""},
        {CHUNKED "\x10\r\n", BAD, BAD, 0, ""},
        {CHUNKED "ffffffffffffffff0\r\n", BAD, BAD, 0, ""},
    };

    (void)state;
    check_all(conversations, sizeof(conversations) / sizeof(*conversations));
}

static void answers_that_end_with_the_connection(void **state)
{
    static const Conversation conversations[] = {
        {"HTTP/1.0 200 OK\r\n\r\npong", MORE, DONE, 200, "pong"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\npong", MORE, DONE, 200,
         "pong"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 9\r\n\r\n", MORE, DONE, 200,
         ""},
        {"", MORE, BAD, 0, ""},
        {"HTTP/1.1 200 OK\r\n", MORE, BAD, 0, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\npong", MORE, BAD, 0, ""},
        {"HTTP/1.1 100 Continue\r\n\r\n", MORE, BAD, 0, ""},
    };

    (void)state;
    check_all(conversations, sizeof(conversations) / sizeof(*conversations));
}

static void what_is_no_answer(void **state)
{
    static const char *const wrong[] = {
        "\r\n",
        "HTTP/2 200\r\n",
        "HTTP/1. 200\r\n",
        "HTTP/1.x 200\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.1 99\r\n",
        "HTTP/1.1 099 x\r\n",
        "HTTP/1.1 600 x\r\n",
        "HTTP/1.1 2000 x\r\n",
        "HTTP/1.1 20x\r\n",
        "HTTP/1.1  200\r\n",
        "HTTP/1.1 99999999999999999999 x\r\n",
        "HTTP/1.1 200 OK\r\nno field\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    };
    HfHttpReader reader;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        check_all(&(Conversation){wrong[i], BAD, BAD, 0, ""}, 1);
    hf_http_reader_init(&reader);
    assert_int_equal(hf_http_reader_feed(&reader, "HTTP/1.1\0 200\n", 14), HF_HTTP_MALFORMED);
}

/* Feeds head once and then block until it is done or enough. */
static HfHttpVerdict feed_for_ever(HfHttpReader *reader, const char *head, const char *block)
{
    size_t length = strlen(block);

    hf_http_reader_init(reader);
    HfHttpVerdict verdict = hf_http_reader_feed(reader, head, strlen(head));
    for (size_t fed = 0; fed < 2UL * HF_HTTP_ANSWER_MAX && verdict == HF_HTTP_MORE; fed += length)
        verdict = hf_http_reader_feed(reader, block, length);
    return verdict;
}

static void everything_is_bounded(void **state)
{
    static const char *const endless[][2] = {
        {"", "HTTP/1.1 "},                     /* a line */
        {"HTTP/1.1 200 OK\r\n", "X: y\r\n"},   /* fields */
        {"", "HTTP/1.1 100 Continue\r\n\r\n"}, /* answers before the answer */
        {"HTTP/1.1 200 OK\r\n\r\n", "body"},   /* a body */
        {CHUNKED, "1;extension\r\nx\r\n"},     /* chunks */
        {CHUNKED "0\r\n", "X: y\r\n"},         /* fields behind them */
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "body"},
    };
    HfHttpReader reader;

    (void)state;
    for (size_t i = 0; i < sizeof(endless) / sizeof(*endless); i++)
        assert_int_equal(feed_for_ever(&reader, endless[i][0], endless[i][1]), HF_HTTP_MALFORMED);
    assert_true(reader.bytes > HF_HTTP_ANSWER_MAX);
    assert_int_equal(reader.n_body, HF_HTTP_BODY_KEPT);
}

static int asked_of(const char *text, HfHttpAsked *ret)
{
    return hf_http_asked(text, strlen(text), ret);
}

static void what_is_asked_of_a_server(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        bool get;
        bool head;
        const char *target;
    } rows[] = {
        {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nmore", 1, true, false, "/metrics"},
        {"GET /metrics?x=1 HTTP/1.0\n\n", 1, true, false, "/metrics?x=1"},
        {"HEAD / HTTP/1.1\r\n\r\n", 1, true, true, "/"},
        {"POST / HTTP/1.1\r\n\r\n", 1, false, false, "/"},
        {"get / HTTP/1.1\r\n\r\n", 1, false, false, "/"},
        {"EATS / HTTP/1.1\r\n\r\n", 1, false, false, "/"},
        {"", 0, false, false, NULL},
        {"GET / HTTP/1.1", 0, false, false, NULL},
        {"GET / HTTP/1.1\r\nHost: x\r\n", 0, false, false, NULL},
        {"\r\n", -EBADMSG, false, false, NULL},
        {"GET\r\n", -EBADMSG, false, false, NULL},
        {"GET /\r\n", -EBADMSG, false, false, NULL},
        {"GET / HTTP/2.0\r\n", -EBADMSG, false, false, NULL},
        {"GET / HTTP/1.1\r\nwhat is this\r\n", -EBADMSG, false, false, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfHttpAsked asked = {0};
        if (asked_of(rows[i].text, &asked) != rows[i].result)
            fail_msg("row %zu", i);
        assert_int_equal(asked.get, rows[i].get);
        assert_int_equal(asked.head, rows[i].head);
        assert_int_equal(asked.length, rows[i].target ? strlen(rows[i].target) : 0);
        if (rows[i].target)
            assert_memory_equal(asked.target, rows[i].target, asked.length);
    }
}

static void openmetrics_is_negotiated(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool open;
    } rows[] = {
        {"Accept: */*", false},
        {"Host: application/openmetrics-text", false},
        {"Accept: application/openmetrics-text", true},
        {"accept:\tApplication/OpenMetrics-Text ; Version=1.0.0 ; q=1.000", true},
        {"Accept: application/openmetrics-text;charset=utf-8", true},
        {"Accept: application/openmetrics-text;version=0.0.1", false},
        {"Accept: application/openmetrics-text;version=1.0.0;q=0", false},
        {"Accept: application/openmetrics-text;q=0.5,text/plain;q=0.6", false},
        {"Accept: application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.5", true},
        {"Accept: text/plain\r\nAccept: application/openmetrics-text", true},
        {"Accept: application/openmetrics-text;q=0.1,application/openmetrics-text;q=0.9,"
         "text/plain;q=0.8,text/plain;q=0.2",
         true},
        {"Accept: application/openmetrics-text;q=1.9", true},
        {"Accept: application/openmetrics-text;q=", false},
        {"Accept: application/openmetrics-text;q=-1", false},
        {"Accept: application/openmetrics-text;q=7", false},
        {"Accept: application/openmetrics-text;q=0x", false},
        {"Accept: application/openmetrics-text;q=0.x", false},
        {"Accept: application/openmetrics-text;q=0./", false},
        {"Accept: application/openmetrics-text;q=0.00001", false},
        /* Prometheus 2 */
        {"Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
         "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        HfHttpAsked asked;
        hf_text_addf(&text, "GET / HTTP/1.1\r\n%s\r\n\r\n", rows[i].accept);
        assert_int_equal(hf_http_asked(text.data, text.length, &asked), 1);
        if (asked.open_metrics != rows[i].open)
            fail_msg("%s", rows[i].accept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_closes_the_connection),
        cmocka_unit_test(headers_replace_and_add),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(no_memory_is_said),
        cmocka_unit_test(answers_with_a_known_end),
        cmocka_unit_test(answers_in_chunks),
        cmocka_unit_test(answers_that_end_with_the_connection),
        cmocka_unit_test(what_is_no_answer),
        cmocka_unit_test(everything_is_bounded),
        cmocka_unit_test(what_is_asked_of_a_server),
        cmocka_unit_test(openmetrics_is_negotiated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
