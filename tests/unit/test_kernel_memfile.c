/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include "kernel/file.h"

static void test_content(void **state)
{
    static const struct {
        const char *data;
        size_t length;
    } cases[] = {{"", 0}, {"[global]\n", 9}, {"nul\0inside", 10}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char buffer[64];
        HF_CLEANUP_FD int fd = hf_memfile_make("overlay", cases[i].data, cases[i].length);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, buffer, sizeof(buffer)), cases[i].length);
        assert_memory_equal(buffer, cases[i].data, cases[i].length);
    }
}

static void test_large_content(void **state)
{
    enum {
        SIZE = 3 * 1024 * 1024 + 7,
    };
    HF_CLEANUP_FREE char *data = malloc(SIZE);
    HF_CLEANUP_FREE char *again = malloc(SIZE);

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i % 251);
    HF_CLEANUP_FD int fd = hf_memfile_make("large", data, SIZE);
    struct stat made;
    assert_int_equal(fstat(fd, &made), 0);
    assert_int_equal(made.st_size, SIZE);
    assert_int_equal(pread(fd, again, SIZE, 0), SIZE);
    assert_memory_equal(again, data, SIZE);
}

static void test_nobody_can_change_it(void **state)
{
    HF_CLEANUP_FD int fd = hf_memfile_make("overlay", "text", 4);
    char path[64];

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    /* Root opens it for writing in spite of its mode; the seals hold. */
    HF_CLEANUP_FD int again = open(path, O_RDWR | O_CLOEXEC);
    assert_true(again >= 0 || geteuid() != 0);
    int both[] = {fd, again};
    for (int i = 0; i < 2 && both[i] >= 0; i++) {
        assert_int_equal(pwrite(both[i], "x", 1, 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(both[i], 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(both[i], 10), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(fcntl(both[i], F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
        assert_int_equal(errno, EPERM);
        assert_ptr_equal(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, both[i], 0), MAP_FAILED);
    }
    char buffer[8];
    assert_int_equal(read(fd, buffer, sizeof(buffer)), 4);
    assert_memory_equal(buffer, "text", 4);
}

static int read_as_nobody(const void *data)
{
    const int *fd = data;
    char path[64];
    char buffer[8];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
    drop_privileges();
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0)
        return 90;
    if (read(again, buffer, sizeof(buffer)) != 4 || memcmp(buffer, "text", 4) != 0)
        return 91;
    return open(path, O_RDWR | O_CLOEXEC) < 0 ? 0 : 92;
}

static void test_everybody_may_read_it(void **state)
{
    HF_CLEANUP_FD int fd = hf_memfile_make("overlay", "text", 4);
    struct stat made;

    (void)state;
    assert_int_equal(fstat(fd, &made), 0);
    assert_int_equal(made.st_mode & 07777, 0444);
    in_fork(read_as_nobody, &fd);
}

static void test_failures(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(hf_memfile_make(name, "", 0), -EINVAL);

    struct rlimit old = limit_fds(0);
    int r = hf_memfile_make("overlay", "", 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(r, -EMFILE);

    size_t open_before = count_fds();
    struct rlimit small = {.rlim_cur = 2};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    r = hf_memfile_make("overlay", "text", 4);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -EFBIG);
    assert_int_equal(count_fds(), open_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_large_content),
        cmocka_unit_test(test_nobody_can_change_it),
        cmocka_unit_test(test_everybody_may_read_it),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
