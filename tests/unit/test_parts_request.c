/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"
#include "fastcgi_helpers.h"
#include "socket_helpers.h"

#include <netinet/tcp.h>

#include "base/parse.h"
#include "format/http.h"
#include "parts/probe/request.h"

#define LONG  (60 * HF_USEC_PER_SEC)
#define SHORT (50 * HF_USEC_PER_MSEC)

static const HfRequestSpec PING = {.kind = HF_PROBE_FASTCGI, .what = "/ping"};
static const HfRequestSpec PAGE = {.kind = HF_PROBE_HTTP, .what = "/healthz"};
static const HfRequestSpec CONNECT = {.kind = HF_PROBE_NONE};

/* ---- the peer: a child that takes one connection ---- */

typedef struct Peer {
    const HfText *answer; /* NULL: none */
    size_t piece;         /* bytes sent at a time, 0: all at once */
    bool http;            /* the request ends with an empty line */
    bool deaf;            /* does not read the request */
    bool hold;            /* keeps the connection until the asker closes it */
    unsigned repeat;      /* of the answer, for as long as somebody takes it */
} Peer;

static bool send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

static void send_answer(int fd, const Peer *peer)
{
    const char *data = peer->answer->data;
    size_t left = peer->answer->length;
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    while (left > 0) {
        size_t n = peer->piece > 0 && peer->piece < left ? peer->piece : left;
        if (!send_all(fd, data, n))
            return;
        data += n;
        left -= n;
    }
}

/* Up to the empty STDIN record or the empty line that ends every request that is asked here. */
static void read_request(int fd, bool http)
{
    static const unsigned char ends[2][8] = {{1, STDIN, 0, 1}, "\r\n\r\n"};
    size_t length = http ? 4 : 8;
    unsigned char last[8] = {0};

    while (memcmp(last, ends[http], length) != 0) {
        memmove(last, last + 1, length - 1);
        if (recv(fd, last + length - 1, 1, 0) != 1)
            _exit(1);
    }
}

static void serve(int listener, const Peer *peer)
{
    char byte;

    alarm(60);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (!peer->deaf)
        read_request(fd, peer->http);
    if (peer->answer)
        send_answer(fd, peer);
    for (unsigned i = 1; i < peer->repeat && send_all(fd, peer->answer->data, peer->answer->length);
         i++) {
    }
    while (peer->hold && recv(fd, &byte, 1, 0) > 0) {
    }
}

/* ---- the asker ---- */

typedef struct Told {
    sd_event *loop;
    unsigned times;
    int result;
    HfText text; /* why, or the body */
} Told;

static void on_told(const HfReply *reply, void *userdata)
{
    Told *told = userdata;

    told->times++;
    told->result = reply->result;
    hf_text_add(&told->text, reply->error);
    if (reply->result == 0)
        hf_text_add_bytes(&told->text, reply->body, reply->length);
    sd_event_exit(told->loop, 0);
}

static void told_clear(Told *told)
{
    hf_text_clear(&told->text);
}
#define CLEANUP_TOLD __attribute__((cleanup(told_clear)))

static void ask(const Address *address, const HfRequestSpec *asked, uint64_t timeout, Told *told)
{
    HfRequestSpec question = *asked;
    HfRequest *request = NULL;
    size_t fds = count_fds();

    /* without a reaper, which would take the peers' exits, too */
    assert_int_equal(sd_event_new(&told->loop), 0);
    question.timeout = timeout;
    assert_int_equal(hf_request_start(told->loop, &question,
                                      (const struct sockaddr *)&address->storage, address->length,
                                      on_told, told, &request),
                     0);
    assert_int_equal(told->times, 0); /* never from within */
    assert_int_equal(sd_event_loop(told->loop), 0);
    sd_event_unref(told->loop);
    assert_int_equal(told->times, 1);
    assert_int_equal(count_fds(), fds);
}

static void ask_peer(const char *where, const Peer *peer, uint64_t timeout, Told *told)
{
    Address address = where ? address_unix(where) : address_ip("127.0.0.1", 0);
    int listener = make_listener(&address, 4);
    address = address_of(listener);

    pid_t pid = fork();
    if (pid == 0) {
        serve(listener, peer);
        _exit(0);
    }
    assert_true(pid > 0);
    close(listener);
    ask(&address, peer->http ? &PAGE : &PING, timeout, told);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void make_answer(HfText *answer, const char *output, const char *errors)
{
    if (errors)
        add(answer, STDERR, 1, errors);
    add(answer, STDOUT, 1, output);
    add(answer, STDOUT, 1, "");
    add_end(answer, 1, 0, 0);
}

#define PONG "Content-Type: text/plain\r\n\r\npong"

static void test_a_good_answer_over_tcp_and_unix(void **state)
{
    HF_CLEANUP_TEXT HfText answer = {0};
    const char *const places[] = {NULL, "@holdfast-test-ask-good"};

    (void)state;
    make_answer(&answer, PONG, NULL);
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_TOLD Told told = {0};
        ask_peer(places[i], &(Peer){.answer = &answer}, LONG, &told);
        assert_int_equal(told.result, 0);
        assert_string_equal(told.text.data, "pong");
    }
}

/* Who answers without reading, and ends, is heard all the same over a unix socket. */
static void test_an_answer_in_pieces_before_the_request_and_with_the_connection_kept(void **state)
{
    HF_CLEANUP_TEXT HfText answer = {0};

    (void)state;
    make_answer(&answer, PONG, NULL);
    const Peer peers[] = {
        {.answer = &answer, .piece = 1},
        {.answer = &answer, .hold = true},
        {.answer = &answer, .deaf = true, .hold = true},
    };
    for (size_t i = 0; i < 3; i++) {
        CLEANUP_TOLD Told told = {0};
        ask_peer(NULL, &peers[i], LONG, &told);
        assert_int_equal(told.result, 0);
        assert_string_equal(told.text.data, "pong");
    }
}

static void test_answers_that_are_not_good(void **state)
{
    static const struct {
        const char *output;
        const char *errors;
        const char *line;
    } cases[] = {
        {"Status: 404 Not Found\r\n\r\n", NULL, "it answered 404"},
        {"Status: 500\r\n\r\nthe body\n", NULL, "it answered 500: the body"},
        {"Status: 500\r\n\r\nbody", "PHP Fatal error:  boom\r\nin \033[31mx\n\n",
         "it answered 500: PHP Fatal error:  boom  in ?[31mx"},
        {"Status: 199\r\n\r\n", NULL, "it answered 199"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_TEXT HfText answer = {0};
        CLEANUP_TOLD Told told = {0};
        make_answer(&answer, cases[i].output, cases[i].errors);
        ask_peer(NULL, &(Peer){.answer = &answer}, LONG, &told);
        assert_int_equal(told.result, -EREMOTEIO);
        assert_string_equal(told.text.data, cases[i].line);
    }
    HF_CLEANUP_TEXT HfText overloaded = {0};
    CLEANUP_TOLD Told told = {0};
    add_end(&overloaded, 1, 0, HF_FASTCGI_OVERLOADED);
    ask_peer(NULL, &(Peer){.answer = &overloaded}, LONG, &told);
    assert_int_equal(told.result, -EREMOTEIO);
    assert_string_equal(told.text.data, "it says that it is overloaded");
}

static void expect(const Told *told, int result, const char *line)
{
    assert_int_equal(told->result, result);
    assert_string_equal(hf_text_peek(&told->text), line);
}

static void test_what_is_no_answer(void **state)
{
    HF_CLEANUP_TEXT HfText garbage = {0};
    HF_CLEANUP_TEXT HfText cut = {0};
    HF_CLEANUP_TEXT HfText headless = {0};
    HF_CLEANUP_TEXT HfText foreign = {0};

    (void)state;
    hf_text_add(&garbage, "HTTP/1.1 400 Bad Request\r\n\r\n");
    add(&cut, STDOUT, 1, PONG);
    make_answer(&headless, "no header at all", NULL);
    add_end(&foreign, 1, 0, 77);
    const struct {
        const HfText *answer;
        int result;
        const char *line;
    } cases[] = {
        {&garbage, -EBADMSG, "the answer is not FastCGI"},
        {&cut, -ECONNRESET, "the connection was closed in the middle of the answer"},
        {&headless, -EBADMSG, "the answer has no header that a web server would take"},
        {&foreign, -EBADMSG, "the answer is not FastCGI"},
        {NULL, -ECONNRESET, "the connection was closed without an answer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_TOLD Told told = {0};
        ask_peer(NULL, &(Peer){.answer = cases[i].answer}, LONG, &told);
        expect(&told, cases[i].result, cases[i].line);
    }
}

static void test_a_connection_that_is_reset(void **state)
{
    CLEANUP_TOLD Told told = {0};

    (void)state;
    ask_peer(NULL, &(Peer){.deaf = true}, LONG, &told);
    expect(&told, -ECONNRESET, "the connection was closed without an answer");
}

static void test_an_answer_without_end(void **state)
{
    HF_CLEANUP_TEXT HfText answer = {0};
    CLEANUP_TOLD Told told = {0};
    static char block[65535];

    (void)state;
    memset(block, 'x', sizeof(block));
    add(&answer, STDOUT, 1, "X: y\r\n\r\n");
    for (unsigned i = 0; i < 16; i++)
        add_raw(&answer, STDOUT, 1, block, sizeof(block), 0);
    ask_peer(NULL, &(Peer){.answer = &answer, .repeat = 1000}, LONG, &told);
    expect(&told, -EBADMSG, "the answer is too long");
}

static void test_a_long_answer_is_cut_and_good(void **state)
{
    HF_CLEANUP_TEXT HfText answer = {0};
    CLEANUP_TOLD Told told = {0};
    static char block[65535];

    (void)state;
    memset(block, 'x', sizeof(block));
    add(&answer, STDOUT, 1, "X: y\r\n\r\n");
    for (unsigned i = 0; i < 16; i++)
        add_raw(&answer, STDOUT, 1, block, sizeof(block), 0);
    add_end(&answer, 1, 0, 0);
    ask_peer(NULL, &(Peer){.answer = &answer}, LONG, &told);
    assert_int_equal(told.result, 0);
    assert_int_equal(told.text.length, HF_FASTCGI_OUTPUT_MAX - strlen("X: y\r\n\r\n"));
}

static void test_nobody_answers(void **state)
{
    HF_CLEANUP_TEXT HfText part = {0};

    (void)state;
    add(&part, STDOUT, 1, PONG);
    const Peer peers[] = {{.hold = true}, {.hold = true, .answer = &part}};
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_TOLD Told told = {0};
        ask_peer(NULL, &peers[i], SHORT, &told);
        expect(&told, -ETIMEDOUT, "no answer within 50 ms");
    }
}

/* A full queue lets a TCP client wait and a unix one not. */
static void test_full_queues(void **state)
{
    Address tcp = address_ip("127.0.0.1", 0);
    Address un = address_unix("@holdfast-test-ask-full");
    int fds[] = {make_listener(&tcp, 0), make_listener(&un, 0)};
    CLEANUP_TOLD Told slow = {0};
    CLEANUP_TOLD Told full = {0};

    (void)state;
    tcp = address_of(fds[0]);
    int filling[] = {try_connect(&tcp), try_connect(&un)};
    assert_true(filling[0] >= 0 && filling[1] >= 0);
    ask(&tcp, &CONNECT, SHORT, &slow);
    expect(&slow, -ETIMEDOUT, "no connection within 50 ms");
    ask(&un, &CONNECT, LONG, &full);
    expect(&full, -EAGAIN, "its queue of connections is full");
    for (size_t i = 0; i < 2; i++) {
        close(filling[i]);
        close(fds[i]);
    }
}

static void test_nobody_listens(void **state)
{
    Address tcp = address_ip("127.0.0.1", 0);
    int listener = make_listener(&tcp, 1);
    CLEANUP_TOLD Told refused = {0};
    CLEANUP_TOLD Told nothing = {0};
    CLEANUP_TOLD Told wrong = {0};

    (void)state;
    tcp = address_of(listener);
    close(listener);
    ask(&tcp, &PING, LONG, &refused);
    expect(&refused, -ECONNREFUSED, "connection refused");
    Address path = address_unix("/nowhere/at/all.sock");
    ask(&path, &PING, LONG, &nothing);
    expect(&nothing, -ENOENT, "there is no such socket");
    path = address_unix("/dev/null");
    ask(&path, &PING, LONG, &wrong);
    expect(&wrong, -ECONNREFUSED, "connection refused");
}

static void test_only_a_connection(void **state)
{
    Address address = address_ip("127.0.0.1", 0);
    int listener = make_listener(&address, 4);
    CLEANUP_TOLD Told told = {0};

    (void)state;
    address = address_of(listener);
    ask(&address, &CONNECT, LONG, &told);
    expect(&told, 0, "");
    close(listener);
}

/* ---- over HTTP ---- */

static void check_http(const char *bytes, const Peer *like, int result, const char *text)
{
    HF_CLEANUP_TEXT HfText answer = {0};
    CLEANUP_TOLD Told told = {0};
    Peer peer = *like;

    hf_text_add(&answer, bytes ? bytes : "");
    peer.http = true;
    peer.answer = bytes ? &answer : NULL;
    ask_peer("@holdfast-test-ask-http", &peer, peer.hold && result != 0 ? SHORT : LONG, &told);
    assert_int_equal(told.result, result);
    assert_string_equal(hf_text_peek(&told.text), text);
}

#define OK_HTTP "HTTP/1.1 200 OK\r\n"

static void test_pages_over_http(void **state)
{
    static const Peer plain = {0};
    static const Peer keeps = {.hold = true};
    static const Peer slow = {.piece = 1, .hold = true};

    (void)state;
    check_http(OK_HTTP "Content-Length: 4\r\n\r\npong", &slow, 0, "pong");
    check_http(OK_HTTP "Transfer-Encoding: chunked\r\n\r\n4\r\npong\r\n0\r\n\r\n", &keeps, 0,
               "pong");
    check_http("HTTP/1.0 302 Found\r\n\r\npong", &plain, 0, "pong");
    check_http("HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\ntoo\r\nmany", &keeps, -EREMOTEIO,
               "it answered 503: too  many");
    check_http("HTTP/1.1 404 Not Found\r\n\r\n", &plain, -EREMOTEIO, "it answered 404");
}

static void test_what_is_no_page_over_http(void **state)
{
    static const Peer plain = {0};
    static const Peer keeps = {.hold = true};
    static const Peer endless = {.repeat = 10000000};

    (void)state;
    check_http("\001\003 no FastCGI, please", &keeps, -ETIMEDOUT, "no answer within 50 ms");
    check_http("SSH-2.0-OpenSSH_9.2\r\n", &plain, -EBADMSG, "the answer is not HTTP");
    check_http(OK_HTTP "Content-Length: 5\r\n\r\npong", &plain, -ECONNRESET,
               "the connection was closed in the middle of the answer");
    check_http(OK_HTTP "Content-Length: 5\r\n\r\npong", &keeps, -ETIMEDOUT,
               "no answer within 50 ms");
    check_http(NULL, &plain, -ECONNRESET, "the connection was closed without an answer");
    check_http("HTTP/1.1 100 Continue\r\n\r\n", &endless, -EBADMSG, "the answer is too long");
}

static void test_headers_are_sent(void **state)
{
    static char host[] = "Host: www.example.org";
    const char *const headers[] = {host, NULL};
    Address address = address_unix("@holdfast-test-ask-headers");
    int listener = make_listener(&address, 4);
    HfRequestSpec question = PAGE;
    CLEANUP_TOLD Told told = {0};
    char asked[1024];

    (void)state;
    question.headers = headers;
    ask(&address, &question, SHORT, &told);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ssize_t n = recv(fd, asked, sizeof(asked) - 1, 0);
    assert_true(n > 0);
    asked[n] = '\0';
    assert_non_null(strstr(asked, "GET /healthz HTTP/1.1\r\n"));
    assert_non_null(strstr(asked, "\r\nHost: www.example.org\r\n"));
    assert_null(strstr(asked, "localhost"));
    close(fd);
    close(listener);
}

/* ---- whether a connection is taken ---- */

static void test_a_connection_that_is_taken(void **state)
{
    static const Peer peer = {.deaf = true};
    Address address = address_ip("127.0.0.1", 0);
    int listener = make_listener(&address, 4);
    const HfRequestSpec question = {.kind = HF_PROBE_TCP, .listener = listener};
    CLEANUP_TOLD Told taken = {0};
    CLEANUP_TOLD Told left = {0};
    CLEANUP_TOLD Told emptied = {0};

    (void)state;
    address = address_of(listener);
    ask(&address, &question, SHORT, &left);
    expect(&left, -ETIMEDOUT, "no connection was taken within 50 ms");
    close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    pid_t pid = fork();
    if (pid == 0) {
        serve(listener, &peer);
        _exit(0);
    }
    ask(&address, &question, LONG, &taken);
    expect(&taken, 0, "");
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    pid = fork();
    if (pid == 0) {
        serve(listener, &(Peer){.deaf = true, .hold = true}); /* says nothing until its end */
        pause();
    }
    ask(&address, &question, SHORT, &emptied);
    kill(pid, SIGKILL);
    expect(&emptied, 0, "");
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(listener);
}

/* ---- ends ---- */

static void test_aborted_at_any_time(void **state)
{
    Address address = address_ip("127.0.0.1", 0);
    int listener = make_listener(&address, 4);
    size_t fds = count_fds();

    (void)state;
    address = address_of(listener);
    for (unsigned round = 0; round < 6; round++) {
        HfRequestSpec question = round % 2 == 0 ? PING : PAGE;
        CLEANUP_TOLD Told told = {0};
        HfRequest *request = NULL;
        question.timeout = LONG;
        assert_int_equal(sd_event_new(&told.loop), 0);
        assert_int_equal(hf_request_start(told.loop, &question,
                                          (const struct sockaddr *)&address.storage, address.length,
                                          on_told, &told, &request),
                         0);
        for (unsigned i = 0; i < round / 2; i++)
            assert_true(sd_event_run(told.loop, LONG) > 0);
        assert_null(hf_request_abort(request));
        sd_event_unref(told.loop);
        assert_int_equal(told.times, 0);
    }
    assert_null(hf_request_abort(NULL));
    assert_int_equal(count_fds(), fds);
    close(listener);
}

static void test_a_request_that_cannot_be_made(void **state)
{
    const HfProbeKind kinds[] = {HF_PROBE_FASTCGI, HF_PROBE_HTTP};
    const Address address = address_ip("127.0.0.1", 9);
    HfRequest *request = NULL;
    sd_event *loop;

    (void)state;
    assert_int_equal(sd_event_new(&loop), 0);
    for (size_t i = 0; i < 2; i++) {
        const HfRequestSpec question = {.kind = kinds[i], .what = "ping", .timeout = LONG};
        assert_int_equal(hf_request_start(loop, &question,
                                          (const struct sockaddr *)&address.storage, address.length,
                                          on_told, NULL, &request),
                         -EINVAL);
        assert_null(request);
    }
    sd_event_unref(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_answer_over_tcp_and_unix),
        cmocka_unit_test(test_an_answer_in_pieces_before_the_request_and_with_the_connection_kept),
        cmocka_unit_test(test_answers_that_are_not_good),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_a_connection_that_is_reset),
        cmocka_unit_test(test_an_answer_without_end),
        cmocka_unit_test(test_a_long_answer_is_cut_and_good),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_full_queues),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_only_a_connection),
        cmocka_unit_test(test_pages_over_http),
        cmocka_unit_test(test_what_is_no_page_over_http),
        cmocka_unit_test(test_headers_are_sent),
        cmocka_unit_test(test_a_connection_that_is_taken),
        cmocka_unit_test(test_aborted_at_any_time),
        cmocka_unit_test(test_a_request_that_cannot_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
