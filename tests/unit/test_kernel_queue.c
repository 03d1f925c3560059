/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/netlink.h>

#include "kernel/sock_diag.h"
#include "socket_helpers.h"

#define CLIENTS 5

/* The last acknowledgement of a TCP handshake is handled by the kernel a moment after connect. */
static void expect_queue(int fd, uint32_t depth, uint32_t limit)
{
    HfQueue queue = {0};

    for (int i = 0; i < 1000000; i++) {
        assert_int_equal(hf_queue_read(fd, &queue), 0);
        if (queue.depth == depth)
            break;
        sched_yield();
    }
    assert_int_equal(queue.depth, depth);
    assert_int_equal(queue.limit, limit);
}

static void fill_and_drain(const Address *wanted)
{
    int clients[CLIENTS];
    int listener = make_listener(wanted, 11);
    Address address = address_of(listener);

    expect_queue(listener, 0, 11);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = try_connect(&address);
        assert_return_code(clients[i], errno);
        expect_queue(listener, (uint32_t)i + 1, 11);
    }
    for (int i = 0; i < CLIENTS; i++) {
        int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_return_code(accepted, errno);
        close(accepted);
        expect_queue(listener, (uint32_t)(CLIENTS - 1 - i), 11);
        close(clients[i]);
    }
    close(listener);
}

static void test_tcp(void **state)
{
    const Address address = address_ip("127.0.0.1", 0);

    (void)state;
    fill_and_drain(&address);
}

static void test_unix(void **state)
{
    char path[108];

    snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    const Address address = address_unix(path);
    fill_and_drain(&address);
    assert_return_code(unlink(path), errno);
}

/* A backlog of n lets n + 1 wait at a unix socket, and the next fails at once. */
static void test_unix_full(void **state)
{
    char path[108];

    snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    const Address address = address_unix(path);
    int listener = make_listener(&address, 1);
    int first = try_connect(&address);
    int second = try_connect(&address);

    assert_return_code(first, errno);
    assert_return_code(second, errno);
    assert_int_equal(try_connect(&address), -EAGAIN);
    expect_queue(listener, 2, 1);
    close(first);
    close(second);
    close(listener);
    assert_return_code(unlink(path), errno);
}

static void test_refused(void **state)
{
    int pair[2];
    int pipes[2];

    (void)state;
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), errno);
    assert_return_code(pipe(pipes), errno);
    const struct {
        int fd;
        int error;
    } table[] = {
        {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -EINVAL},
        {socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), -EINVAL},
        {socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), -EAFNOSUPPORT},
        {pair[0], -EINVAL},
        {pair[1], -EINVAL},
        {pipes[0], -ENOTSOCK},
        {pipes[1], -ENOTSOCK},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        HfQueue queue = {.depth = 77, .limit = 78};

        assert_return_code(table[i].fd, errno);
        assert_int_equal(hf_queue_read(table[i].fd, &queue), table[i].error);
        assert_int_equal(queue.depth, 77);
        assert_int_equal(queue.limit, 78);
        close(table[i].fd);
        assert_int_equal(hf_queue_read(table[i].fd, &queue), -EBADF);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test_setup_teardown(test_unix, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_unix_full, make_directory, remove_directory),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
