/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <netinet/tcp.h>

#include "kernel/owner.h"
#include "kernel/sock_diag.h"
#include "kernel/socket.h"
#include "socket_helpers.h"

#define UNTOUCHED 4242

static int bind_to(const Address *address, int *ret_fd, HfSocketInode *ret_inode)
{
    const HfSocketRequest request = request_for(address);
    HfSocketStage stage = HF_LISTENER_LISTEN;

    int r = hf_socket_bind(&request, ret_fd, ret_inode, &stage);
    if (r < 0)
        print_message("bind: %s at stage %d\n", strerror(-r), (int)stage);
    return r;
}

static void expect_refusal(const Address *address, int error, HfSocketStage expected)
{
    const HfSocketRequest request = request_for(address);
    HfSocketInode inode = {.device = UNTOUCHED, .inode = UNTOUCHED};
    HfSocketStage stage = (HfSocketStage)-1;
    int fd = UNTOUCHED;

    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), error);
    assert_int_equal(stage, expected);
    assert_int_equal(fd, UNTOUCHED);
    assert_int_equal(inode.device, UNTOUCHED);
    assert_int_equal(inode.inode, UNTOUCHED);
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);

    assert_return_code(getsockopt(fd, level, option, &value, &length), errno);
    return value;
}

static void expect_flags(int fd)
{
    assert_int_equal(hf_socket_verify(fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEPORT), 0);
}

static void expect_connects(const Address *address)
{
    int fd = try_connect(address);

    assert_return_code(fd, -fd);
    close(fd);
}

static void test_ipv4(void **state)
{
    const Address address = address_ip("127.0.0.1", 0);
    HfSocketInode inode = {.inode = UNTOUCHED};
    int fd = -1;

    (void)state;
    assert_int_equal(bind_to(&address, &fd, &inode), 0);
    assert_int_equal(inode.inode, 0);
    expect_flags(fd);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    const Address bound = address_of(fd);
    expect_connects(&bound);
    close(fd);
}

static void test_ipv6(void **state)
{
    const struct {
        const char *ip;
        int v6only;
        const char *reached_by;
    } table[] = {
        {"::1", 1, "::1"},
        {"::", 0, "::1"},
        {"::", 0, "127.0.0.1"},
        {"::ffff:127.0.0.1", 0, "127.0.0.1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        const Address address = address_ip(table[i].ip, 0);
        HfSocketInode inode;
        int fd = -1;

        assert_int_equal(bind_to(&address, &fd, &inode), 0);
        expect_flags(fd);
        assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEADDR), 1);
        assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), table[i].v6only);
        const Address target = address_ip(table[i].reached_by, port_of(fd));
        expect_connects(&target);
        close(fd);
    }
}

static void test_busy_port(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);

    (void)state;
    int holder = make_listener(&any, 1);
    const Address busy = address_of(holder);
    const Address wildcard = address_ip("0.0.0.0", port_of(holder));
    const Address dual = address_ip("::", port_of(holder));
    expect_refusal(&busy, -EADDRINUSE, HF_LISTENER_BIND);
    expect_refusal(&wildcard, -EADDRINUSE, HF_LISTENER_BIND);
    expect_refusal(&dual, -EADDRINUSE, HF_LISTENER_BIND);
    close(holder);
}

/* A connection in TIME_WAIT must not keep the port busy for a minute. */
static void test_port_of_a_closed_connection(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);
    HfSocketInode inode;
    char byte;
    int fd = -1;

    (void)state;
    assert_int_equal(bind_to(&any, &fd, &inode), 0);
    const Address address = address_of(fd);
    int client = try_connect(&address);
    assert_return_code(client, -client);
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    assert_return_code(accepted, errno);
    close(accepted);
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    close(fd);
    assert_int_equal(bind_to(&address, &fd, &inode), 0);
    close(fd);
}

static void test_impossible_addresses(void **state)
{
    const Address elsewhere = address_ip("203.0.113.7", 0);
    Address unknown = address_ip("127.0.0.1", 0);

    (void)state;
    expect_refusal(&elsewhere, -EADDRNOTAVAIL, HF_LISTENER_BIND);
    unknown.storage.ss_family = 255;
    expect_refusal(&unknown, -EAFNOSUPPORT, HF_LISTENER_SOCKET);
}

static void test_abstract_name(void **state)
{
    char name[100];
    HfSocketInode inode = {.inode = UNTOUCHED};
    int fd = -1;

    (void)state;
    snprintf(name, sizeof(name), "@holdfast-test-listener-%d", (int)getpid());
    const Address address = address_unix(name);
    HfSocketRequest request = request_for(&address);
    HfSocketStage stage;
    request.has_mode = true; /* rights mean nothing there */
    request.uid = 1;
    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), 0);
    assert_int_equal(inode.inode, 0);
    expect_flags(fd);
    expect_connects(&address);
    expect_refusal(&address, -EADDRINUSE, HF_LISTENER_BIND);
    close(fd);
}

static void test_what_this_machine_has(void **state)
{
    static const int free_bind[][3] = {{IPPROTO_IP, IP_FREEBIND, 1}};
    static const struct {
        const char *ip;
        bool expected;
    } table[] = {
        {"127.0.0.1", true}, {"0.0.0.0", true}, {"192.0.2.1", false}, {"2001:db8::1", false}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        Address address = address_ip(table[i].ip, 9);
        HfSocketRequest request = request_for(&address);
        assert_int_equal(hf_socket_can_have(&request), table[i].expected);
        request.options = free_bind;
        request.n_options = 1;
        assert_true(hf_socket_can_have(&request));
    }
    Address path = address_unix("/x");
    const HfSocketRequest request = request_for(&path);
    assert_true(hf_socket_can_have(&request));
}

static void test_options(void **state)
{
    static const int options[][3] = {{IPPROTO_TCP, TCP_NODELAY, 1}, {SOL_SOCKET, SO_RCVBUF, 65536}};
    static const int unknown[][3] = {{IPPROTO_TCP, 4242, 1}};
    Address address = address_ip("127.0.0.1", 0);
    HfSocketRequest request = request_for(&address);
    HfSocketInode inode;
    HfSocketStage stage;
    int value;
    socklen_t length = sizeof(value);
    int fd = -1;

    (void)state;
    request.options = options;
    request.n_options = 2;
    request.interface = "lo";
    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), 0);
    assert_return_code(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), errno);
    assert_int_not_equal(value, 0);
    assert_return_code(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &length), errno);
    assert_int_equal(value, 2 * 65536);
    assert_return_code(getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &value, &length), errno);
    assert_int_equal(value, 1);
    close(fd);
    request.options = unknown;
    request.n_options = 1;
    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), -ENOPROTOOPT);
    assert_int_equal(stage, HF_LISTENER_OPTION);
    request.interface = "nosuch0";
    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), -ENODEV);
    assert_int_equal(stage, HF_LISTENER_OPTION);
}

static void test_types(void **state)
{
    const Address address = address_ip("127.0.0.1", 0);
    HfSocketRequest request = request_for(&address);
    HfSocketStage stage;
    HfSocketInode inode;
    HfQueue queue;
    int fd = -1;

    (void)state;
    request.type = SOCK_DGRAM;
    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), 0);
    assert_int_equal(hf_socket_type(fd), SOCK_DGRAM);
    assert_int_equal(hf_socket_verify(fd), -EPROTOTYPE);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_REUSEADDR), 0);
    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.depth, 0);
    const Address bound = address_of(fd);
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        sendto(client, "x", 1, 0, (const struct sockaddr *)&bound.storage, bound.length), 1);
    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_true(queue.depth > 0 && queue.depth < queue.limit);
    HfOwner owner;
    assert_int_equal(hf_owner_find(&bound.storage, bound.length, &owner), -ENOENT);
    assert_int_equal(hf_owner_find_of(SOCK_DGRAM, &bound.storage, bound.length, &owner), 0);
    assert_int_equal(owner.pid, getpid());
    const HfSocketRequest again = {.address = &bound.storage,
                                   .address_length = bound.length,
                                   .type = SOCK_DGRAM,
                                   .uid = (uid_t)-1,
                                   .gid = (gid_t)-1};
    int other = -1;
    assert_int_equal(hf_socket_bind(&again, &other, &inode, &stage), -EADDRINUSE);
    close(client);
    close(fd);
}

static void test_verify(void **state)
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
        {socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), -EPROTOTYPE},
        {socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), -EPROTOTYPE},
        {pair[0], -EINVAL},
        {pair[1], -EINVAL},
        {pipes[0], -ENOTSOCK},
        {pipes[1], -ENOTSOCK},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        assert_return_code(table[i].fd, errno);
        assert_int_equal(hf_socket_verify(table[i].fd), table[i].error);
        close(table[i].fd);
        assert_int_equal(hf_socket_verify(table[i].fd), -EBADF);
    }
}

static void test_name(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);
    struct sockaddr_storage name;
    unsigned length = UNTOUCHED;

    (void)state;
    memset(&name, 0xff, sizeof(name));
    int fd = make_listener(&any, 1);
    const Address expected = address_of(fd);
    assert_int_equal(hf_listener_name(fd, &name, &length), 0);
    assert_int_equal(length, sizeof(struct sockaddr_in));
    assert_memory_equal(&name, &expected.storage, sizeof(name));
    close(fd);
    length = UNTOUCHED;
    assert_int_equal(hf_listener_name(fd, &name, &length), -EBADF);
    assert_int_equal(length, UNTOUCHED);
}

static void test_backlog(void **state)
{
    const Address address = address_ip("127.0.0.1", 0);
    HfSocketRequest request = request_for(&address);
    HfSocketInode inode;
    HfSocketStage stage;
    HfQueue queue;
    int fd = -1;

    (void)state;
    request.backlog = 5;
    assert_int_equal(hf_socket_bind(&request, &fd, &inode, &stage), 0);
    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.limit, 5);
    assert_int_equal(hf_socket_set_backlog(fd, 9), 0);
    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.limit, 9);
    assert_int_equal(hf_socket_set_backlog(fd, -1), 0);
    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.limit, hf_socket_somaxconn());
    close(fd);
    assert_int_equal(hf_socket_set_backlog(fd, 9), -EBADF);
}

static void test_somaxconn(void **state)
{
    int expected = -1;

    (void)state;
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &expected), 1);
    fclose(file);
    assert_int_equal(hf_socket_somaxconn(), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_busy_port),
        cmocka_unit_test(test_port_of_a_closed_connection),
        cmocka_unit_test(test_impossible_addresses),
        cmocka_unit_test(test_abstract_name),
        cmocka_unit_test(test_what_this_machine_has),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_backlog),
        cmocka_unit_test(test_somaxconn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
