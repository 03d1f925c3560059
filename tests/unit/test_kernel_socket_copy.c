/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kernel/socket.h"
#include "socket_helpers.h"

/* What the holder has put at that number meanwhile; -1: nothing. */
static int meanwhile = -1;

int pidfd_getfd(int pidfd, int targetfd, unsigned flags)
{
    if (meanwhile >= 0)
        return fcntl(meanwhile, F_DUPFD_CLOEXEC, 0);
    return (int)syscall(SYS_pidfd_getfd, pidfd, targetfd, flags);
}

static ino_t inode_of_socket(int fd)
{
    struct stat found;

    assert_return_code(fstat(fd, &found), errno);
    return found.st_ino;
}

static void test_copy(void **state)
{
    Address any = address_ip("127.0.0.1", 0);
    int listener = make_listener(&any, 1);
    Address address = address_of(listener);
    HfProcess self = {.pid = getpid(), .pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0)};
    int others[] = {socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                    socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), open("/", O_PATH | O_CLOEXEC),
                    make_listener(&any, 1)};
    int fd = -1;

    (void)state;
    assert_return_code(self.pidfd, errno);
    assert_int_equal(hf_takeover_copy(&self, &address.storage, address.length, &fd), 0);
    assert_int_equal(inode_of_socket(fd), inode_of_socket(listener));
    close(fd);
    /* the holder closes it and opens another file, which gets its number */
    fd = -1;
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        meanwhile = others[i];
        assert_int_equal(hf_takeover_copy(&self, &address.storage, address.length, &fd), -ENOTCONN);
        assert_int_equal(fd, -1);
        close(others[i]);
    }
    meanwhile = -1;
    close(listener);
    assert_int_equal(hf_takeover_copy(&self, &address.storage, address.length, &fd), -ENOENT);
    close(self.pidfd);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
