#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
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
    };
    return cmocka_run_group_tests_name("base/fd", tests, NULL, NULL);
}
