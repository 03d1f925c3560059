/* SPDX-License-Identifier: MIT */
#include "fastcgi_helpers.h"

#define ANSWER "Status: 503 Service Unavailable\r\n\r\nlater\n"

typedef struct Conversation {
    HfText in;
    HfFastcgiResponder responder;
} Conversation;

static void begin(Conversation *conversation)
{
    conversation->in = (HfText){0};
    hf_fastcgi_responder_init(&conversation->responder, ANSWER, strlen(ANSWER));
}

static HfFastcgiVerdict feed(Conversation *conversation, size_t step)
{
    HfFastcgiVerdict verdict = conversation->responder.verdict;

    for (size_t at = 0; at < conversation->in.length; at += step) {
        size_t left = conversation->in.length - at;
        size_t n = left < step ? left : step;
        char *chunk = malloc(n);
        assert_non_null(chunk);
        memcpy(chunk, conversation->in.data + at, n);
        verdict = hf_fastcgi_responder_feed(&conversation->responder, chunk, n);
        free(chunk);
    }
    hf_text_clear(&conversation->in);
    return verdict;
}

static void expect_out(const Conversation *conversation, HfText *expected)
{
    assert_int_equal(conversation->responder.n_out, expected->length);
    if (expected->length > 0)
        assert_memory_equal(conversation->responder.out, expected->data, expected->length);
    hf_text_clear(expected);
}

static void add_answer(HfText *text, unsigned id)
{
    add(text, STDOUT, id, ANSWER);
    add(text, STDOUT, id, "");
    add_end(text, id, 0, 0);
}

static void busy_answer(void **state)
{
    static const unsigned seconds[] = {0, 5, 4294967295u};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        HF_CLEANUP_TEXT HfText text = {0};
        HF_CLEANUP_TEXT HfText field = {0};
        hf_fastcgi_busy_answer(seconds[i], &text);
        hf_text_addf(&field, "\r\nRetry-After: %u\r\n", seconds[i]);
        assert_true(text.length <= HF_FASTCGI_BUSY_MAX);
        assert_memory_equal(text.data, "Status: 503 Service Unavailable\r\n", 33);
        assert_non_null(strstr(text.data, field.data));
        assert_non_null(strstr(text.data, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
        assert_non_null(strstr(text.data, "\r\nCache-Control: no-store\r\n"));
        assert_non_null(strstr(text.data, "\r\n\r\n<!DOCTYPE html>"));
    }
}

static void a_request_is_answered_when_its_params_are_complete(void **state)
{
    static const size_t steps[] = {1, 2, 3, 7, 8, 9, 100, 100000};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        Conversation conversation;
        HF_CLEANUP_TEXT HfText expected = {0};

        begin(&conversation);
        add_begin(&conversation.in, 0x1234, 1, i % 2); /* KEEP_CONN or not: the end is the same */
        add_raw(&conversation.in, PARAMS, 0x1234, "\x03\x01REQx", 6, 2);
        char *large = calloc(1, 65535);
        assert_non_null(large);
        add_raw(&conversation.in, PARAMS, 0x1234, large, 65535, 255);
        free(large);
        assert_int_equal(feed(&conversation, steps[i]), HF_FASTCGI_MORE);
        assert_int_equal(conversation.responder.n_out, 0);
        add(&conversation.in, PARAMS, 0x1234, "");
        assert_int_equal(feed(&conversation, steps[i]), HF_FASTCGI_DONE);
        add_answer(&expected, 0x1234);
        expect_out(&conversation, &expected);
    }
}

static void nothing_comes_after_the_answer(void **state)
{
    Conversation conversation;
    HF_CLEANUP_TEXT HfText expected = {0};

    (void)state;
    begin(&conversation);
    add_begin(&conversation.in, 1, 1, 1);
    add(&conversation.in, PARAMS, 1, "");
    add(&conversation.in, STDIN, 1, "a body");
    add(&conversation.in, STDIN, 1, "");
    add_begin(&conversation.in, 1, 1, 1);
    add(&conversation.in, PARAMS, 1, "");
    add(&conversation.in, GET_VALUES, 0, "");
    hf_text_add(&conversation.in, "garbage");
    assert_int_equal(feed(&conversation, 1000), HF_FASTCGI_DONE);
    add_answer(&expected, 1);
    expect_out(&conversation, &expected);
}

static void a_body_before_its_params_are_complete(void **state)
{
    Conversation conversation;
    HF_CLEANUP_TEXT HfText expected = {0};

    (void)state;
    begin(&conversation);
    add(&conversation.in, STDIN, 1, "of nobody");
    add(&conversation.in, PARAMS, 1, "");
    add(&conversation.in, ABORT_REQUEST, 1, "");
    add_begin(&conversation.in, 1, 1, 0);
    add(&conversation.in, STDIN, 1, "early");
    add(&conversation.in, DATA, 1, "early");
    add(&conversation.in, PARAMS, 2, "");
    assert_int_equal(feed(&conversation, 5), HF_FASTCGI_MORE);
    assert_int_equal(conversation.responder.n_out, 0);
    add(&conversation.in, PARAMS, 1, "");
    assert_int_equal(feed(&conversation, 5), HF_FASTCGI_DONE);
    add_answer(&expected, 1);
    expect_out(&conversation, &expected);
}

static void an_aborted_request(void **state)
{
    Conversation conversation;
    HF_CLEANUP_TEXT HfText expected = {0};

    (void)state;
    begin(&conversation);
    add_begin(&conversation.in, 3, 1, 0);
    add(&conversation.in, ABORT_REQUEST, 3, "");
    assert_int_equal(feed(&conversation, 1), HF_FASTCGI_DONE);
    add_end(&expected, 3, 0, HF_FASTCGI_REQUEST_COMPLETE);
    expect_out(&conversation, &expected);
}

static void other_roles_are_unknown(void **state)
{
    static const unsigned roles[] = {0, 2, 3, 255};

    (void)state;
    for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
        Conversation conversation;
        HF_CLEANUP_TEXT HfText expected = {0};

        begin(&conversation);
        add_begin(&conversation.in, 1, roles[i], 0);
        assert_int_equal(feed(&conversation, 100), HF_FASTCGI_DONE);
        add_end(&expected, 1, 0, HF_FASTCGI_UNKNOWN_ROLE);
        expect_out(&conversation, &expected);
    }
}

static void multiplexed_requests_are_refused(void **state)
{
    Conversation conversation;
    HF_CLEANUP_TEXT HfText expected = {0};

    (void)state;
    begin(&conversation);
    add_begin(&conversation.in, 1, 1, 1);
    add_begin(&conversation.in, 2, 1, 1);
    add(&conversation.in, PARAMS, 2, "");
    add_begin(&conversation.in, 65535, 2, 1);
    add(&conversation.in, PARAMS, 1, "");
    assert_int_equal(feed(&conversation, 3), HF_FASTCGI_DONE);
    add_end(&expected, 2, 0, HF_FASTCGI_CANT_MPX_CONN);
    add_end(&expected, 65535, 0, HF_FASTCGI_CANT_MPX_CONN);
    add_answer(&expected, 1);
    expect_out(&conversation, &expected);
}

static void values(void **state)
{
    static const struct {
        const char *query;
        size_t length;
        const char *result;
    } cases[] = {
        {"", 0, ""},
        {"\x0f\0FCGI_MPXS_CONNS", 17,
         "\x0f\x01"
         "FCGI_MPXS_CONNS0"},
        {"\x0d\0FCGI_MAX_REQS\x0e\0FCGI_MAX_CONNS", 31,
         "\x0e\x01"
         "FCGI_MAX_CONNS1\x0d\x01"
         "FCGI_MAX_REQS1"},
        {"\x01\0X\x0d\0FCGI_MAX_REQS\x0d\0FCGI_MAX_REQS", 33,
         "\x0d\x01"
         "FCGI_MAX_REQS1"},
        {"\x80\0\0\x0d\x80\0\0\x01"
         "FCGI_MAX_REQSz",
         22,
         "\x0d\x01"
         "FCGI_MAX_REQS1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Conversation conversation;
        HF_CLEANUP_TEXT HfText expected = {0};

        begin(&conversation);
        add_raw(&conversation.in, GET_VALUES, 0, cases[i].query, cases[i].length, 1);
        assert_int_equal(feed(&conversation, 4), HF_FASTCGI_MORE);
        add(&expected, GET_VALUES_RESULT, 0, cases[i].result);
        expect_out(&conversation, &expected);
    }
}

static void malformed_values(void **state)
{
    static const struct {
        const char *query;
        size_t length;
    } cases[] = {
        {"\x01", 1},
        {"\x01\x00", 2},
        {"\x01\x01X", 3},
        {"\xff\xff\xff\xff\x01X", 6},
        {"\x01\xff\xff\xff\xffX", 6},
        {"\x80\x00", 2},
        {"\x7f\x7f", 2},
    };
    static const char large[HF_FASTCGI_BODY + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Conversation conversation;
        begin(&conversation);
        add_raw(&conversation.in, GET_VALUES, 0, cases[i].query, cases[i].length, 0);
        assert_int_equal(feed(&conversation, 100), HF_FASTCGI_MALFORMED);
        assert_int_equal(conversation.responder.n_out, 0);
    }
    Conversation conversation;
    begin(&conversation);
    add_raw(&conversation.in, GET_VALUES, 0, large, sizeof(large), 0);
    assert_int_equal(feed(&conversation, 100), HF_FASTCGI_MALFORMED);
}

static void unknown_management_records(void **state)
{
    static const unsigned types[] = {0, 12, 255};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        const unsigned char body[8] = {(unsigned char)types[i]};
        Conversation conversation;
        HF_CLEANUP_TEXT HfText expected = {0};

        begin(&conversation);
        add(&conversation.in, types[i], 0, "whatever");
        assert_int_equal(feed(&conversation, 3), HF_FASTCGI_MORE);
        add_raw(&expected, UNKNOWN_TYPE, 0, body, sizeof(body), 0);
        expect_out(&conversation, &expected);
    }
}

/* A record that is owed a reply, of one of three kinds. */
static void add_owed(HfText *text, unsigned kind, unsigned i)
{
    if (kind == 0)
        add_begin(text, 2 + i, 1, 0);
    else
        add_raw(text, kind == 1 ? GET_VALUES : 99, 0,
                "\x0e\0FCGI_MAX_CONNS\x0d\0FCGI_MAX_REQS\x0f\0FCGI_MPXS_CONNS", 48, 0);
}

static void replies_are_bounded(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        Conversation conversation;
        begin(&conversation);
        add_begin(&conversation.in, 1, 1, 0);
        for (unsigned i = 0; i < HF_FASTCGI_REPLIES_MAX; i++)
            add_owed(&conversation.in, kind, i);
        assert_int_equal(feed(&conversation, 1000), HF_FASTCGI_MORE);
        /* The answer still fits. */
        Conversation answered = conversation;
        answered.in = (HfText){0};
        add(&answered.in, PARAMS, 1, "");
        assert_int_equal(feed(&answered, 1000), HF_FASTCGI_DONE);
        add_owed(&conversation.in, kind, HF_FASTCGI_REPLIES_MAX);
        assert_int_equal(feed(&conversation, 1000), HF_FASTCGI_MALFORMED);
    }
}

static void the_largest_answer_fits(void **state)
{
    char answer[HF_FASTCGI_BUSY_MAX];
    Conversation conversation = {.in = {0}};

    (void)state;
    memset(answer, 'a', sizeof(answer));
    hf_fastcgi_responder_init(&conversation.responder, answer, sizeof(answer));
    add_begin(&conversation.in, 1, 1, 0);
    for (unsigned i = 0; i < HF_FASTCGI_REPLIES_MAX; i++)
        add_raw(&conversation.in, GET_VALUES, 0,
                "\x0e\0FCGI_MAX_CONNS\x0d\0FCGI_MAX_REQS\x0f\0FCGI_MPXS_CONNS", 48, 0);
    add(&conversation.in, PARAMS, 1, "");
    assert_int_equal(feed(&conversation, 1000), HF_FASTCGI_DONE);
    assert_true(conversation.responder.n_out > sizeof(answer));
}

static void records_that_no_web_server_sends(void **state)
{
    static const struct {
        unsigned type;
        unsigned id;
    } cases[] = {
        {BEGIN_REQUEST, 0}, {PARAMS, 0},       {STDIN, 0},  {END_REQUEST, 1},
        {STDOUT, 1},        {STDERR, 1},       {STDOUT, 0}, {GET_VALUES, 1},
        {UNKNOWN_TYPE, 0},  {UNKNOWN_TYPE, 1}, {DATA, 0},   {GET_VALUES_RESULT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        Conversation conversation;
        begin(&conversation);
        add(&conversation.in, cases[i].type, cases[i].id, "12345678");
        assert_int_equal(feed(&conversation, 4), HF_FASTCGI_MALFORMED);
        assert_int_equal(conversation.responder.n_out, 0);
    }
}

static void malformed_beginnings(void **state)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02", "\x02\x01"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        Conversation conversation;
        begin(&conversation);
        hf_text_add(&conversation.in, texts[i]);
        assert_int_equal(feed(&conversation, 1), HF_FASTCGI_MALFORMED);
    }
    for (size_t size = 0; size < 20; size++) {
        Conversation conversation;
        begin(&conversation);
        add_raw(&conversation.in, BEGIN_REQUEST, 1, "\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                size, 0);
        assert_int_equal(feed(&conversation, 100),
                         size == 8 ? HF_FASTCGI_MORE : HF_FASTCGI_MALFORMED);
    }
    Conversation twice;
    begin(&twice);
    add_begin(&twice.in, 1, 1, 0);
    add_begin(&twice.in, 1, 1, 0);
    assert_int_equal(feed(&twice, 100), HF_FASTCGI_MALFORMED);
}

/* Damaged requests: a verdict, the same and with the same output however the bytes are cut. */
static void damaged_requests(void **state)
{
    uint32_t random = 7;
    unsigned verdicts[3] = {0};

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        Conversation whole;
        Conversation pieces;

        begin(&whole);
        add(&whole.in, GET_VALUES, 0, "\x01\x01Xx");
        add_begin(&whole.in, 1, 1, 0);
        add_raw(&whole.in, PARAMS, 1, "\x01\x01Xx", 4, 4);
        add_begin(&whole.in, 2, 1, 0);
        add(&whole.in, PARAMS, 1, "");
        add(&whole.in, STDIN, 1, "");
        for (unsigned damage = next_random(&random) % 3 + 1; damage > 0; damage--)
            whole.in.data[next_random(&random) % whole.in.length] = (char)next_random(&random);
        begin(&pieces);
        hf_text_add_bytes(&pieces.in, whole.in.data, whole.in.length);
        HfFastcgiVerdict verdict = feed(&whole, whole.in.length);
        assert_int_equal(feed(&pieces, next_random(&random) % 11 + 1), verdict);
        assert_int_equal(whole.responder.n_out, pieces.responder.n_out);
        assert_memory_equal(whole.responder.out, pieces.responder.out, whole.responder.n_out);
        verdicts[verdict]++;
    }
    assert_true(verdicts[HF_FASTCGI_MORE] > 0 && verdicts[HF_FASTCGI_DONE] > 0 &&
                verdicts[HF_FASTCGI_MALFORMED] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(busy_answer),
        cmocka_unit_test(a_request_is_answered_when_its_params_are_complete),
        cmocka_unit_test(nothing_comes_after_the_answer),
        cmocka_unit_test(a_body_before_its_params_are_complete),
        cmocka_unit_test(an_aborted_request),
        cmocka_unit_test(other_roles_are_unknown),
        cmocka_unit_test(multiplexed_requests_are_refused),
        cmocka_unit_test(values),
        cmocka_unit_test(malformed_values),
        cmocka_unit_test(unknown_management_records),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(the_largest_answer_fits),
        cmocka_unit_test(records_that_no_web_server_sends),
        cmocka_unit_test(malformed_beginnings),
        cmocka_unit_test(damaged_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
