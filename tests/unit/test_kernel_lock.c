/* SPDX-License-Identifier: MIT */
/* What of the locks of kernel/file.h needs a pidfd. */
#include "child_helpers.h"
#include "socket_helpers.h"

#include "kernel/lock.h"

/* fork(2) shares it: whoever has it still has to be waited for. */
static void test_lock_that_a_child_has_still(void **state)
{
    pid_t holder = 0;
    int ends[2];
    char end;

    assert_int_equal(chdir(*state), 0);
    int fd = hf_lock_take("lock", &holder);
    assert_true(fd >= 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        _exit(read(ends[0], &end, 1) == 0 ? 0 : 1);
    }
    assert_true(pid > 0);
    close(fd);
    close(ends[0]);
    assert_int_equal(hf_lock_await("lock", 1), -ETIMEDOUT);
    close(ends[1]);
    assert_int_equal(hf_lock_await("lock", 60000), 0);
    fd = hf_lock_take("lock", &holder);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(unlink("lock"), 0);
}

static void write_file(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

    assert_return_code(fd, errno);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* What others may open they may lock: it is closed to them, and removed where its holder has ended.
 */
static void test_lock_that_others_may_open(void **state)
{
    struct stat found;
    pid_t holder = 0;

    assert_int_equal(chdir(*state), 0);
    write_file("lock", 0644);
    int fd = hf_lock_take("lock", &holder);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &found), 0);
    assert_int_equal(found.st_mode & ACCESSPERMS, 0600);
    assert_int_equal(hf_lock_discard_open("lock"), -EPERM);
    assert_true(hf_lock_is("lock", fd));
    write_file("other", 0604);
    assert_false(hf_lock_is("other", fd));
    assert_int_equal(hf_lock_discard_open("other"), 0);
    assert_int_equal(hf_lock_discard_open("other"), -ENOENT);
    assert_int_equal(symlink("lock", "link"), 0);
    assert_int_equal(hf_lock_discard_open("link"), -EPERM);
    close(fd);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(unlink("lock"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lock_that_a_child_has_still, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_lock_that_others_may_open, make_directory,
                                        remove_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
