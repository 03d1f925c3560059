/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "kernel/sock_diag.h"
#include "kernel/socket.h"
#include "kernel/steer.h"
#include "socket_helpers.h"

#define TIMES 20

static int bind_to(const Address *address, HfSocketInode *ret_inode)
{
    const HfSocketRequest request = request_for(address);
    HfSocketStage stage;
    int fd = -1;

    assert_int_equal(hf_socket_bind(&request, &fd, ret_inode, &stage), 0);
    return fd;
}

static unsigned depth_of(int fd)
{
    HfQueue queue;

    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.limit, 16);
    return queue.depth;
}

/* One connection, and which of the two took it. */
static int taken_by(const HfReach *reach, const int fds[2])
{
    int fd = socket(reach->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_return_code(fd, errno);
    assert_int_equal(hf_steer_bind(fd, reach), 0);
    assert_return_code(connect(fd, (const struct sockaddr *)&reach->address, reach->length), errno);
    unsigned second = depth_of(fds[1]);
    assert_int_equal(depth_of(fds[0]) + second, 1);
    close(accept(fds[second], NULL, NULL));
    close(fd);
    return (int)second;
}

static void expect_steering(const char *listens, const char *reached_by)
{
    const Address address = address_ip(listens, 0);
    HfSocketInode inode;
    int fds[2];
    int third;

    fds[0] = bind_to(&address, &inode);
    assert_int_equal(hf_steer_pair_tcp(fds[0], 0, 1, &fds[1]), 0);
    const Address target = address_ip(reached_by, port_of(fds[0]));
    const HfReach here = {.address = target.storage, .length = target.length};
    HfReach there = here;
    hf_steer_reach(&there);
    for (unsigned side = 0; side < 2; side++) { /* before the first switch it is the first one */
        for (int i = 0; i < TIMES; i++) {
            assert_int_equal(taken_by(&here, fds), side);
            assert_int_equal(taken_by(&there, fds), !side);
        }
        assert_int_equal(hf_steer_tcp(fds[side], !side, side), 0); /* by either of them */
    }
    for (int i = 0; i < TIMES; i++)
        assert_int_equal(taken_by(&here, fds), 0);
    assert_int_equal(hf_steer_pair_tcp(fds[0], 0, 2, &third), 0); /* one more */
    const int last[] = {fds[0], third};
    for (unsigned chosen = 0; chosen < 2; chosen++) {
        for (int i = 0; i < TIMES; i++) {
            assert_int_equal(taken_by(&here, last), chosen);
            assert_int_equal(taken_by(&there, last), !chosen);
            assert_int_equal(depth_of(fds[1]), 0);
        }
        assert_int_equal(hf_steer_tcp(third, 2, 0), 0);
    }
    close(fds[0]);
    close(fds[1]);
    close(third);
}

static void test_ipv4(void **state)
{
    (void)state;
    expect_steering("127.0.0.1", "127.0.0.1");
    expect_steering("0.0.0.0", "127.0.0.1");
    expect_steering("127.0.0.2", "127.0.0.2");
}

static void test_ipv6(void **state)
{
    (void)state;
    expect_steering("::1", "::1");
}

static void test_dual_stack(void **state)
{
    (void)state;
    expect_steering("::", "127.0.0.1");
    expect_steering("::", "::1");
}

static void test_options(void **state)
{
    const Address address = address_ip("127.0.0.1", 0);
    HfSocketInode inode;
    socklen_t length = sizeof(int);
    int one = 1;
    int value = 0;
    int second;

    (void)state;
    int first = bind_to(&address, &inode);
    assert_return_code(setsockopt(first, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), errno);
    assert_int_equal(hf_steer_pair_tcp(first, 0, 1, &second), 0);
    assert_return_code(getsockopt(second, IPPROTO_TCP, TCP_NODELAY, &value, &length), errno);
    assert_int_equal(value, 1);
    close(first);
    close(second);
}

/* Nobody but these two, and nobody else afterwards either. */
static void test_strangers(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);
    HfSocketInode inode;
    int second = -1;
    int one = 1;
    int status;

    (void)state;
    int first = bind_to(&any, &inode);
    const Address address = address_of(first);
    if (getuid() == 0) { /* of another user's */
        pid_t child = fork();
        if (child == 0)
            _exit(setuid(65534) < 0 ? 2 : hf_steer_pair_tcp(first, 0, 1, &second) != -EADDRINUSE);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    assert_return_code(setsockopt(first, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), errno);
    int third = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(setsockopt(third, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), errno);
    assert_return_code(bind(third, (const struct sockaddr *)&address.storage, address.length),
                       errno);
    assert_return_code(listen(third, 1), errno);
    assert_int_equal(hf_steer_pair_tcp(first, 0, 1, &second), -EADDRINUSE);
    close(third);
    assert_int_equal(second, -1);
    assert_int_equal(hf_steer_pair_tcp(first, 0, 1, &second), 0);
    const HfSocketRequest request = request_for(&address);
    HfSocketStage stage;
    assert_int_equal(hf_socket_bind(&request, &third, &inode, &stage), -EADDRINUSE);
    close(first);
    close(second);
}

/* ---- paths ---- */

static void test_path(void **state)
{
    char path[128];
    char hidden[128];
    HfSocketInode inodes[2];
    int fds[2];

    snprintf(path, sizeof(path), "%s/it", (const char *)*state);
    snprintf(hidden, sizeof(hidden), "%s/.it", (const char *)*state);
    const Address address = address_unix(path);
    const Address beside = address_unix(hidden);
    close(bind_to(&beside, &inodes[1])); /* what a dead one left */
    fds[0] = bind_to(&address, &inodes[0]);
    assert_return_code(chmod(path, 0612), errno);
    if (getuid() == 0)
        assert_return_code(chown(path, 12, 34), errno);
    assert_int_equal(hf_steer_pair_path(fds[0], path, hidden, &fds[1], &inodes[1]), 0);
    struct stat a;
    struct stat b;
    assert_return_code(stat(path, &a), errno);
    assert_return_code(stat(hidden, &b), errno);
    assert_int_equal(a.st_mode, b.st_mode);
    assert_int_equal(a.st_uid, b.st_uid);
    assert_int_equal(a.st_gid, b.st_gid);
    const HfReach here = {.address = address.storage, .length = address.length};
    const HfReach there = {.address = beside.storage, .length = beside.length};
    for (unsigned round = 0; round < 4; round++) {
        unsigned side = round & 1;
        assert_int_equal(hf_steer_path(path, hidden, &inodes[side]), 0);
        assert_int_equal(hf_steer_path(path, hidden, &inodes[side]), 0);
        for (int i = 0; i < TIMES; i++) {
            assert_int_equal(taken_by(&here, fds), side);
            assert_int_equal(taken_by(&there, fds), !side);
        }
    }
    assert_int_equal(hf_socket_unlink(hidden, &inodes[0]), 0);
    assert_int_equal(hf_steer_path(path, hidden, &inodes[0]), -ESTALE);
    assert_int_equal(hf_socket_unlink(path, &inodes[1]), 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_path_errors(void **state)
{
    char path[128];
    char hidden[128];
    char file[200];
    HfSocketInode inode;
    HfSocketInode second;
    int fd = -1;

    snprintf(path, sizeof(path), "%s/it", (const char *)*state);
    snprintf(hidden, sizeof(hidden), "%s/.it", (const char *)*state);
    memset(file, 'x', sizeof(file));
    file[sizeof(file) - 1] = '\0';
    const Address address = address_unix(path);
    const Address beside = address_unix(hidden);
    int first = bind_to(&address, &inode);
    assert_int_equal(hf_steer_pair_path(first, path, file, &fd, &second), -ENAMETOOLONG);
    int other = bind_to(&beside, &second);
    assert_int_equal(hf_steer_pair_path(first, path, hidden, &fd, &second), -EADDRINUSE);
    assert_int_equal(hf_socket_unlink(hidden, &second), 0);
    close(other);
    assert_int_equal(hf_socket_unlink(path, &inode), 0);
    assert_int_equal(hf_steer_pair_path(first, path, hidden, &fd, &second), -ENOENT);
    assert_int_equal(fd, -1);
    close(first);
}

/* ---- what is noted for another holdfast ---- */

static void test_numbers_after_others_were_closed(void **state)
{
    unsigned all[] = {2, 0, 1};
    unsigned alone[] = {5};
    unsigned moved[] = {3, 0};
    unsigned unknown[] = {3, 2};
    unsigned twice[] = {1, 1};

    (void)state;
    assert_true(hf_steer_settle(all, 3));
    assert_memory_equal(all, ((unsigned[]){2, 0, 1}), sizeof(all));
    assert_true(hf_steer_settle(alone, 1));
    assert_int_equal(alone[0], 0);
    assert_true(hf_steer_settle(moved, 2));
    assert_memory_equal(moved, ((unsigned[]){1, 0}), sizeof(moved));
    assert_false(hf_steer_settle(unknown, 2));
    assert_false(hf_steer_settle(twice, 2));
}

static void test_notes(void **state)
{
    const Address address = address_ip("127.0.0.1", 0);
    HfSocketInode inode;
    bool current;
    unsigned index;
    int ends[2];
    char byte;

    (void)state;
    int fd = bind_to(&address, &inode);
    assert_false(hf_steer_noted(fd, &current, &index));
    assert_false(hf_steer_is_anothers(fd));
    for (unsigned note = 0; note < 2 * HF_SIDES; note++) {
        hf_steer_note(fd, note % 2, note / 2);
        assert_true(hf_steer_noted(fd, &current, &index));
        assert_int_equal(current + index * 2, note);
    }
    hf_steer_claim(fd, true);
    assert_false(hf_steer_is_anothers(fd));
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), errno);
    pid_t child = fork();
    assert_return_code(child, errno);
    if (child == 0) {
        hf_steer_claim(fd, false); /* it is another's */
        bool ok = hf_steer_is_anothers(fd);
        hf_steer_claim(fd, true);
        ok = ok && !hf_steer_is_anothers(fd) && write(ends[1], "x", 1) == 1;
        _exit(ok && read(ends[1], &byte, 1) == 1 ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(hf_steer_is_anothers(fd));
    assert_int_equal(write(ends[0], "x", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(hf_steer_is_anothers(fd));
    close(ends[0]);
    close(ends[1]);
    close(fd);
    fd = bind_to(&address, &inode); /* one without another side */
    hf_steer_claim(fd, true);
    assert_false(hf_steer_noted(fd, &current, &index));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ipv4),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_dual_stack),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_numbers_after_others_were_closed),
        cmocka_unit_test(test_notes),
        cmocka_unit_test_setup_teardown(test_path, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_path_errors, make_directory, remove_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
