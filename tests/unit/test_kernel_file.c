/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "kernel/file.h"
#include "kernel/lock.h"

/* What happens between open(2) and flock(2), once. */
static const char *lock_that_is_removed;

int flock(int fd, int operation)
{
    if (lock_that_is_removed && unlink(lock_that_is_removed) == 0)
        lock_that_is_removed = NULL;
    return (int)syscall(SYS_flock, fd, operation);
}

static char directory[] = "/tmp/holdfast-test-XXXXXX";

static int enter_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    return chdir(directory);
}

static int leave_directory(void **state)
{
    (void)state;
    /* Fails when a test, or a temporary file, has been left behind. */
    return chdir("/") < 0 ? -1 : rmdir(directory);
}

static void expect_content(const char *path, const char *data, size_t length)
{
    char *content = NULL;
    size_t n = 0;

    assert_int_equal(hf_file_read(path, 1024, &content, &n), 0);
    assert_int_equal(n, length);
    assert_memory_equal(content, data, length);
    assert_int_equal(content[n], '\0');
    free(content);
}

static void expect_mode(const char *path, mode_t type, mode_t mode)
{
    struct stat found;

    assert_int_equal(lstat(path, &found), 0);
    assert_int_equal(found.st_mode, type | mode);
}

static size_t count_entries(void)
{
    size_t n = 0;
    DIR *here = opendir(".");

    while (readdir(here))
        n++;
    closedir(here);
    return n - 2;
}

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
}

static void test_write_makes_and_replaces(void **state)
{
    static const struct {
        const char *data;
        size_t length;
        mode_t mode;
    } cases[] = {{"first\n", 6, 0644}, {"", 0, 0600}, {"a\0b", 3, 0666}, {"x", 1, 0400}};
    char absolute[128];
    const char *const paths[] = {"file", "./file", absolute};
    mode_t mask = umask(0077);

    (void)state;
    snprintf(absolute, sizeof(absolute), "%s/file", directory);
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            assert_int_equal(hf_file_write(paths[p], cases[i].data, cases[i].length, cases[i].mode),
                             0);
            expect_content("file", cases[i].data, cases[i].length);
            expect_mode("file", S_IFREG, cases[i].mode);
            assert_int_equal(count_entries(), 1);
        }
    umask(mask);
    assert_int_equal(unlink("file"), 0);
}

static void test_write_leaves_readers_and_links_alone(void **state)
{
    char old[16];

    (void)state;
    assert_int_equal(hf_file_write("target", "old", 3, 0644), 0);
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(link("target", "other"), 0);
    HF_CLEANUP_FD int reader = open("target", O_RDONLY | O_CLOEXEC);
    assert_int_equal(hf_file_write("target", "newer", 5, 0644), 0);
    assert_int_equal(read(reader, old, sizeof(old)), 3);
    expect_content("other", "old", 3);
    assert_int_equal(hf_file_write("link", "mine", 4, 0644), 0);
    expect_mode("link", S_IFREG, 0644);
    expect_content("target", "newer", 5);
    assert_int_equal(unlink("target"), 0);
    assert_int_equal(unlink("other"), 0);
    assert_int_equal(unlink("link"), 0);
}

static void test_write_failures_leave_nothing(void **state)
{
    struct rlimit old;
    struct rlimit small = {.rlim_cur = 2};
    size_t open_before = count_fds();

    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(hf_file_write("folder", "x", 1, 0644), -EISDIR);
    assert_int_equal(hf_file_write("none/file", "x", 1, 0644), -ENOENT);
    assert_int_equal(rmdir("folder"), 0);

    assert_int_equal(hf_file_write("file", "as it was", 9, 0644), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int r = hf_file_write("file", "longer", 6, 0644);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(r, -EFBIG);
    expect_content("file", "as it was", 9);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(count_fds(), open_before);
    assert_int_equal(unlink("file"), 0);
}

static void test_read(void **state)
{
    char untouched[] = "untouched";
    char *content = untouched;
    size_t length = 4242;

    (void)state;
    assert_int_equal(hf_file_write("file", "0123456789", 10, 0600), 0);
    assert_int_equal(hf_file_read("file", 9, &content, &length), -EFBIG);
    assert_int_equal(hf_file_read("file", 0, &content, &length), -EFBIG);
    assert_int_equal(hf_file_read("none", 9, &content, &length), -ENOENT);
    assert_int_equal(hf_file_read(".", 9, &content, &length), -EISDIR);
    assert_int_equal(hf_file_read("/dev/zero", 9, &content, &length), -EINVAL);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(hf_file_read("fifo", 9, &content, &length), -EINVAL);
    assert_ptr_equal(content, untouched);
    assert_int_equal(length, 4242);

    assert_int_equal(hf_file_read("file", 10, &content, &length), 0);
    assert_string_equal(content, "0123456789");
    assert_int_equal(length, 10);
    free(content);
    /* One that says its size is 0. */
    assert_int_equal(hf_file_read("/proc/self/stat", 4096, &content, NULL), 0);
    assert_int_equal(strtol(content, NULL, 10), getpid());
    free(content);
    assert_int_equal(unlink("file"), 0);
    assert_int_equal(unlink("fifo"), 0);
}

static void test_read_of_many_chunks(void **state)
{
    enum {
        SIZE = 100001,
    };
    HF_CLEANUP_FREE char *data = malloc(SIZE);
    HF_CLEANUP_FREE char *content = NULL;
    size_t length;

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)('a' + i % 23);
    assert_int_equal(hf_file_write("file", data, SIZE, 0600), 0);
    assert_int_equal(hf_file_read("file", SIZE - 1, &content, &length), -EFBIG);
    assert_int_equal(hf_file_read("file", SIZE, &content, &length), 0);
    assert_int_equal(length, SIZE);
    assert_memory_equal(content, data, SIZE);
    assert_int_equal(unlink("file"), 0);
}

static void test_make_directory(void **state)
{
    char absolute[128];
    mode_t mask = umask(0077);

    (void)state;
    assert_int_equal(hf_file_make_directory("a/b//c/", 0755), 0);
    expect_mode("a", S_IFDIR, 0755);
    expect_mode("a/b", S_IFDIR, 0755);
    expect_mode("a/b/c", S_IFDIR, 0755);
    assert_int_equal(hf_file_make_directory("a/b/c", 0700), 0);
    expect_mode("a/b/c", S_IFDIR, 0755);
    assert_int_equal(hf_file_make_directory("a/b/d", 0700), 0);
    expect_mode("a/b/d", S_IFDIR, 0700);
    assert_int_equal(symlink("a", "way"), 0);
    assert_int_equal(hf_file_make_directory("way/b/c", 0700), 0);
    snprintf(absolute, sizeof(absolute), "%s/e/f", directory);
    assert_int_equal(hf_file_make_directory(absolute, 0750), 0);
    expect_mode("e/f", S_IFDIR, 0750);
    assert_int_equal(hf_file_make_directory("/", 0700), 0);
    assert_int_equal(hf_file_make_directory(".", 0700), 0);
    umask(mask);
    static const char *const all[] = {"e/f", "e", "way", "a/b/c", "a/b/d", "a/b", "a"};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        assert_int_equal(remove(all[i]), 0);
}

static void test_make_directory_refuses(void **state)
{
    (void)state;
    assert_int_equal(hf_file_make_directory("", 0700), -ENOENT);
    make_file("file");
    assert_int_equal(hf_file_make_directory("file", 0700), -ENOTDIR);
    assert_int_equal(hf_file_make_directory("file/", 0700), -ENOTDIR);
    assert_int_equal(hf_file_make_directory("file/below", 0700), -ENOTDIR);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("folder", "link"), 0);
    assert_int_equal(hf_file_make_directory("link", 0700), -ENOTDIR);
    assert_int_equal(hf_file_make_directory("link/", 0700), -ENOTDIR);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(symlink("nowhere", "link"), 0);
    assert_int_equal(hf_file_make_directory("link", 0700), -ENOTDIR);

    assert_int_equal(chmod("folder", 0777), 0);
    assert_int_equal(hf_file_make_directory("folder", 0700), -EPERM);
    assert_int_equal(chmod("folder", 0772), 0);
    assert_int_equal(hf_file_make_directory("folder", 0700), -EPERM);
    assert_int_equal(chmod("folder", 01777), 0);
    assert_int_equal(hf_file_make_directory("folder", 0700), 0);
    assert_int_equal(chmod("folder", 0775), 0);
    assert_int_equal(hf_file_make_directory("folder", 0700), 0);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(unlink("file"), 0);
    assert_int_equal(rmdir("folder"), 0);
}

static int make_as_nobody(const void *unused)
{
    (void)unused;
    if (chmod(".", 0755) < 0 || chown("folder", 12345, 12345) < 0 || chown("own", 65534, 65534) < 0)
        return 90;
    if (hf_file_make_directory("folder", 0700) != -EPERM)
        return 91;
    drop_privileges();
    if (hf_file_make_directory("folder", 0700) != -EPERM)
        return 92;
    if (hf_file_make_directory("new", 0700) != -EACCES)
        return 93;
    if (hf_file_make_directory("own", 0700) != 0)
        return 94;
    return hf_file_make_directory("rootly", 0700) == 0 ? 0 : 95;
}

static void test_make_directory_refuses_another_owners(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        /* The owner of / can only be root to somebody else. */
        assert_int_equal(hf_file_make_directory("/", 0700), 0);
        return;
    }
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkdir("rootly", 0700), 0);
    assert_int_equal(mkdir("own", 0700), 0);
    in_fork(make_as_nobody, NULL);
    assert_int_equal(rmdir("folder"), 0);
    assert_int_equal(rmdir("rootly"), 0);
    assert_int_equal(rmdir("own"), 0);
}

static int lock_again(const void *data)
{
    const pid_t *expected = data;
    pid_t holder = 4242;

    if (hf_lock_take("lock", &holder) != -EWOULDBLOCK)
        return 90;
    return holder == *expected ? 0 : 91;
}

static void test_lock(void **state)
{
    pid_t holder = 4242;
    pid_t self = getpid();
    char text[32];

    (void)state;
    int fd = hf_lock_take("lock", &holder);
    assert_true(fd >= 0);
    assert_int_equal(holder, 4242);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int length = snprintf(text, sizeof(text), "%d\n", (int)self);
    expect_content("lock", text, (size_t)length);
    in_fork(lock_again, &self);
    expect_content("lock", text, (size_t)length);
    close(fd);

    /* What a longer-named one left. */
    assert_int_equal(hf_file_write("lock", "12345678901234567890\nmore\n", 26, 0644), 0);
    fd = hf_lock_take("lock", &holder);
    assert_true(fd >= 0);
    expect_content("lock", text, (size_t)length);
    close(fd);
    assert_int_equal(unlink("lock"), 0);
}

static void test_lock_names_the_holder(void **state)
{
    static const struct {
        const char *content;
        pid_t holder;
    } cases[] = {
        {"123\n", 123},
        {"123", 123},
        {"", 0},
        {"\n", 0},
        {"12x\n", 0},
        {"-1\n", 0},
        {" 12\n", 0},
        {"0\n", 0},
        {"2147483647\n", INT32_MAX},
        {"2147483648\n", 0},
        {"99999999999999999999999999999999999999999999\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        pid_t holder = 4242;
        int fd = hf_lock_take("lock", &holder);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, 0), 0);
        size_t length = strlen(cases[i].content);
        assert_int_equal(pwrite(fd, cases[i].content, length, 0), length);
        in_fork(lock_again, &cases[i].holder);
        close(fd);
    }
    assert_int_equal(unlink("lock"), 0);
}

static void test_lock_refuses(void **state)
{
    pid_t holder = 4242;
    size_t open_before = count_fds();

    (void)state;
    assert_int_equal(hf_lock_take("none/lock", &holder), -ENOENT);
    assert_int_equal(hf_lock_take(".", &holder), -EISDIR);
    assert_int_equal(symlink("elsewhere", "link"), 0);
    assert_int_equal(hf_lock_take("link", &holder), -ELOOP);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(hf_lock_take("fifo", &holder), -EINVAL);
    assert_int_equal(holder, 4242);
    assert_int_equal(count_entries(), 2);
    assert_int_equal(count_fds(), open_before);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(unlink("fifo"), 0);
}

static void test_a_replaced_lock_excludes_nobody(void **state)
{
    pid_t holder = 4242;

    (void)state;
    HF_CLEANUP_FD int old = hf_lock_take("lock", &holder);
    assert_int_equal(unlink("lock"), 0);
    HF_CLEANUP_FD int fd = hf_lock_take("lock", &holder);
    assert_true(old >= 0 && fd >= 0);
    assert_int_not_equal(inode_of(old), inode_of(fd));
    assert_int_equal(unlink("lock"), 0);
}

/* The holder before removes the file as it leaves: what was opened is nobody's lock then. */
static void test_a_lock_that_lost_its_name_is_none(void **state)
{
    pid_t holder = 4242;

    (void)state;
    make_file("lock");
    lock_that_is_removed = "lock";
    HF_CLEANUP_FD int fd = hf_lock_take("lock", &holder);
    assert_true(fd >= 0);
    assert_null(lock_that_is_removed);
    assert_true(hf_lock_is("lock", fd));
    assert_int_equal(unlink("lock"), 0);
}

static void test_remove_directory(void **state)
{
    (void)state;
    assert_int_equal(hf_file_remove_directory("none", NULL, NULL), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(hf_file_remove_directory("folder", NULL, NULL), 0);

    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkdir("elsewhere", 0700), 0);
    make_file("elsewhere/kept");
    make_file("kept");
    for (int i = 0; i < 1200; i++) {
        char name[64];
        snprintf(name, sizeof(name), "folder/.file-%d", i);
        make_file(name);
    }
    assert_int_equal(mkfifo("folder/fifo", 0600), 0);
    assert_int_equal(symlink("../kept", "folder/link"), 0);
    assert_int_equal(symlink("../elsewhere", "folder/way"), 0);
    assert_int_equal(hf_file_remove_directory("folder", NULL, NULL), 0);
    assert_int_equal(count_entries(), 2);
    assert_int_equal(access("elsewhere/kept", F_OK), 0);
    assert_int_equal(unlink("elsewhere/kept"), 0);
    assert_int_equal(rmdir("elsewhere"), 0);
    assert_int_equal(unlink("kept"), 0);
}

static bool is_theirs(const char *path, const char *name, const void *userdata)
{
    assert_null(userdata);
    assert_string_equal(path, "folder");
    return strcmp(name, "theirs") == 0;
}

static void test_remove_directory_leaves_what_stays(void **state)
{
    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    make_file("folder/theirs");
    make_file("folder/ours");
    assert_int_equal(hf_file_remove_directory("folder", is_theirs, NULL), 0);
    assert_int_equal(access("folder/theirs", F_OK), 0);
    assert_int_equal(access("folder/ours", F_OK), -1);
    assert_int_equal(unlink("folder/theirs"), 0);
    assert_int_equal(hf_file_remove_directory("folder", is_theirs, NULL), 0);
    assert_int_equal(count_entries(), 0);
}

static void test_remove_directory_refuses(void **state)
{
    size_t open_before = count_fds();

    (void)state;
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkdir("folder/below", 0700), 0);
    make_file("folder/below/kept");
    make_file("folder/gone");
    assert_int_equal(symlink("folder", "link"), 0);
    assert_int_equal(hf_file_remove_directory("link", NULL, NULL), -ENOTDIR);
    assert_int_equal(access("folder/gone", F_OK), 0);
    assert_int_equal(hf_file_remove_directory("folder/gone", NULL, NULL), -ENOTDIR);
    assert_int_equal(hf_file_remove_directory("folder", NULL, NULL), -EISDIR);
    assert_int_equal(access("folder/gone", F_OK), -1);
    assert_int_equal(access("folder/below/kept", F_OK), 0);
    assert_int_equal(count_fds(), open_before);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(unlink("folder/below/kept"), 0);
    assert_int_equal(rmdir("folder/below"), 0);
    assert_int_equal(rmdir("folder"), 0);
}

static void test_near_is_what_is_cached_of_a_disk(void **state)
{
    struct stat found;
    size_t open_before = count_fds();

    (void)state;
    make_file("cached");
    assert_int_equal(stat("cached", &found), 0);
    assert_false(hf_file_is_near("nothing"));
    assert_false(hf_file_is_near("/proc/self/status"));
    if (major(found.st_dev) == 0) /* overlayfs, tmpfs */
        assert_false(hf_file_is_near("cached"));
    else if (hf_file_is_near("/")) /* else the kernel does not tell */
        assert_true(hf_file_is_near("cached"));
    assert_int_equal(unlink("cached"), 0);
    assert_int_equal(count_fds(), open_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_makes_and_replaces),
        cmocka_unit_test(test_write_leaves_readers_and_links_alone),
        cmocka_unit_test(test_write_failures_leave_nothing),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_of_many_chunks),
        cmocka_unit_test(test_make_directory),
        cmocka_unit_test(test_make_directory_refuses),
        cmocka_unit_test(test_make_directory_refuses_another_owners),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_lock_names_the_holder),
        cmocka_unit_test(test_lock_refuses),
        cmocka_unit_test(test_a_replaced_lock_excludes_nobody),
        cmocka_unit_test(test_a_lock_that_lost_its_name_is_none),
        cmocka_unit_test(test_remove_directory),
        cmocka_unit_test(test_remove_directory_leaves_what_stays),
        cmocka_unit_test(test_remove_directory_refuses),
        cmocka_unit_test(test_near_is_what_is_cached_of_a_disk),
    };
    return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
