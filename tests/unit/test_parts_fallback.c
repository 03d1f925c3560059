/* SPDX-License-Identifier: MIT */
/* The answerer is this very program again, as it is holdfast's; in it, somebody else has always
 * been faster after a connection was taken: what the last look says is readable is not. */
#include "child_helpers.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/parse.h"
#include "parts/fallback/fallback_parts.h"

static const unsigned char REQUEST[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0,
                                        0, 0, 0, 0, 1, 4, 0, 1, 0, 0, 0, 0};

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    const struct timespec until = {timeout / 1000, timeout % 1000 * 1000000L};
    bool last_look = n == 1 && timeout == 0;

    int r = ppoll(fds, n, timeout < 0 ? NULL : &until, NULL);
    return last_look ? 1 : r;
}

static int listening(struct sockaddr_in *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_address = address;
    return fd;
}

/* Everything that a connection is given after a request or without one. */
static void ask(const struct sockaddr_in *address, bool send_request, HfText *answer)
{
    char chunk[4096];
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    if (send_request)
        assert_int_equal(send(fd, REQUEST, sizeof(REQUEST), 0), sizeof(REQUEST));
    while ((n = recv(fd, chunk, sizeof(chunk), 0)) > 0)
        hf_text_add_bytes(answer, chunk, (size_t)n);
    assert_int_equal(n, 0);
    close(fd);
}

/* Without the timer it would be stuck at the first listener after the first connection. */
static void test_it_starts_answers_and_stops(void **state)
{
    struct sockaddr_in addresses[2];
    int fds[2];
    HfProcess process = HF_PROCESS_NONE;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        fds[i] = listening(&addresses[i]);
    const HfFallbackRequest request = {
        .released_fd = -1,
        .fds = fds,
        .fastcgi = (const bool[]){true, false},
        .n = 2,
        .retry_after_seconds = 42,
        .limits = HF_ANSWERER_LIMITS,
    };
    assert_int_equal(hf_fallback_start(&request, &process), 0);
    assert_true(process.pid > 0 && process.pidfd >= 0);

    for (unsigned i = 0; i < 5; i++) {
        HF_CLEANUP_TEXT HfText answer = {0};
        ask(&addresses[0], true, &answer);
        assert_non_null(memmem(answer.data, answer.length, "Status: 503 ", 12));
        assert_non_null(memmem(answer.data, answer.length, "\r\nRetry-After: 42\r\n", 19));
    }
    HF_CLEANUP_TEXT HfText closed = {0};
    ask(&addresses[1], false, &closed);
    assert_int_equal(closed.length, 0);
    assert_int_equal(getsid(process.pid), process.pid);

    assert_int_equal(hf_process_signal(process.pidfd, SIGTERM), 0);
    expect_exit(&process, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFL) & O_NONBLOCK, 0);
        close(fds[i]);
    }
}

static void test_too_many_listeners(void **state)
{
    static int fds[HF_ANSWERER_LISTENERS_MAX + 1];
    static bool fastcgi[HF_ANSWERER_LISTENERS_MAX + 1];
    HfProcess process = HF_PROCESS_NONE;
    const HfFallbackRequest request = {
        .released_fd = -1, .fds = fds, .fastcgi = fastcgi, .n = HF_ANSWERER_LISTENERS_MAX + 1};

    (void)state;
    assert_int_equal(hf_fallback_start(&request, &process), -E2BIG);
    assert_int_equal(process.pid, 0);
}

static void test_what_does_not_listen_is_refused(void **state)
{
    HfProcess process = HF_PROCESS_NONE;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const HfFallbackRequest request = {
        .released_fd = -1,
        .fds = &null,
        .fastcgi = (const bool[]){true},
        .n = 1,
        .limits = HF_ANSWERER_LIMITS,
    };

    (void)state;
    assert_int_equal(hf_fallback_start(&request, &process), 0);
    expect_exit(&process, 2);
    close(null);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_starts_answers_and_stops),
        cmocka_unit_test(test_too_many_listeners),
        cmocka_unit_test(test_what_does_not_listen_is_refused),
    };

    if (argc > 1 && strcmp(argv[1], HF_ANSWERER_OPTION) == 0)
        return hf_fallback_main(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
