/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static int open_null(void)
{
    int fd = open("/dev/null", O_RDONLY);
    assert_true(fd >= 0);
    return fd;
}

static void close_empties_and_keeps_errno(void **state)
{
    (void)state;
    int fd = open_null();
    errno = ERANGE;
    assert_int_equal(hf_fd_close(fd), -1);
    assert_int_equal(errno, ERANGE);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(hf_fd_close(-1), -1);
}

static void cleanup_closes_at_the_end_of_the_block(void **state)
{
    (void)state;
    int number;
    {
        HF_CLEANUP_FD int fd = open_null();
        number = fd;
        assert_true(fcntl(number, F_GETFD) >= 0);
    }
    assert_int_equal(fcntl(number, F_GETFD), -1);
}

static void stolen_descriptors_stay_open(void **state)
{
    (void)state;
    int kept;
    {
        HF_CLEANUP_FD int fd = open_null();
        kept = hf_fd_steal(&fd);
        assert_int_equal(fd, -1);
    }
    assert_true(fcntl(kept, F_GETFD) >= 0);
    hf_fd_close(kept);
}

static void raise_moves_and_closes_on_exec(void **state)
{
    (void)state;
    int fd = open_null();
    HF_CLEANUP_FD int raised = hf_fd_raise(fd, 300);
    assert_true(raised >= 300);
    assert_int_equal(fcntl(raised, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void raise_takes_the_next_free_number(void **state)
{
    (void)state;
    HF_CLEANUP_FD int first = hf_fd_raise(open_null(), 300);
    HF_CLEANUP_FD int second = hf_fd_raise(open_null(), 300);
    assert_true(second > first);
}

static void raise_leaves_one_that_is_there(void **state)
{
    (void)state;
    HF_CLEANUP_FD int fd = open_null();
    assert_int_equal(hf_fd_raise(fd, 3), fd);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void raise_above_the_limit_fails_and_consumes(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int fd = open_null();
    assert_true(hf_fd_raise(fd, (int)limit.rlim_cur) < 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void raise_of_none_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(hf_fd_raise(-1, 10), -EBADF);
    int closed = open_null();
    hf_fd_close(closed);
    assert_int_equal(hf_fd_raise(closed, 0), -EBADF);
    assert_int_equal(hf_fd_raise(closed, 100), -EBADF);
}

static bool is_null(int fd)
{
    struct stat null;
    struct stat found;
    return stat("/dev/null", &null) == 0 && fstat(fd, &found) == 0 &&
           found.st_rdev == null.st_rdev && S_ISCHR(found.st_mode);
}

static void closed_standard_descriptors_are_filled(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        int other = open("/dev/zero", O_RDWR);
        dup2(other, STDOUT_FILENO);
        close(other);
        close(STDIN_FILENO);
        close(STDERR_FILENO);
        bool done = hf_fd_fill_standard() == 0;
        int next = open("/dev/zero", O_RDONLY);
        _exit(done && is_null(0) && !is_null(1) && is_null(2) && next > 2 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_empties_and_keeps_errno),
        cmocka_unit_test(cleanup_closes_at_the_end_of_the_block),
        cmocka_unit_test(stolen_descriptors_stay_open),
        cmocka_unit_test(raise_moves_and_closes_on_exec),
        cmocka_unit_test(raise_takes_the_next_free_number),
        cmocka_unit_test(raise_leaves_one_that_is_there),
        cmocka_unit_test(raise_above_the_limit_fails_and_consumes),
        cmocka_unit_test(raise_of_none_is_an_error),
        cmocka_unit_test(closed_standard_descriptors_are_filled),
    };
    return cmocka_run_group_tests_name("base/fd", tests, NULL, NULL);
}
