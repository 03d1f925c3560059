/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include <sys/prctl.h>
#include <time.h>

static char directory[] = "/tmp/holdfast-test-XXXXXX";

static void make_file(const char *name, mode_t mode)
{
    int root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    close(root);
}

/* a/tool and b/tool are programs, a/data is a file, b/folder a directory; c/tool is executable by
 * nobody. */
static int make_tree(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    int root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(root, "a", 0755), 0);
    assert_int_equal(mkdirat(root, "b", 0755), 0);
    assert_int_equal(mkdirat(root, "c", 0755), 0);
    assert_int_equal(mkdirat(root, "b/folder", 0755), 0);
    assert_int_equal(mkfifoat(root, "b/fifo", 0755), 0);
    assert_int_equal(symlinkat("tool", root, "a/alias"), 0);
    close(root);
    make_file("a/tool", 0755);
    make_file("b/tool", 0755);
    make_file("a/data", 0644);
    make_file("c/tool", 0644);
    return 0;
}

static int remove_tree(void **state)
{
    static const struct {
        const char *name;
        int flags;
    } all[] = {
        {"a/tool", 0},
        {"a/data", 0},
        {"a/alias", 0},
        {"b/tool", 0},
        {"b/fifo", 0},
        {"c/tool", 0},
        {"b/folder", AT_REMOVEDIR},
        {"a", AT_REMOVEDIR},
        {"b", AT_REMOVEDIR},
        {"c", AT_REMOVEDIR},
    };
    int root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        assert_int_equal(unlinkat(root, all[i].name, all[i].flags), 0);
    close(root);
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

/* @ stands for the tree. */
static char *expand(const char *text)
{
    HfText expanded = {0};
    char *whole;

    if (!text)
        return NULL;
    for (; *text; text++)
        if (*text == '@')
            hf_text_add(&expanded, directory);
        else
            hf_text_add_bytes(&expanded, text, 1);
    assert_int_equal(hf_text_take(&expanded, &whole), 0);
    return whole;
}

static void test_find(void **state)
{
    static const struct {
        const char *program;
        const char *path;
        const char *directory;
        const char *found; /* NULL: error */
        int error;
    } cases[] = {
        {"tool", "@/a:@/b", NULL, "@/a/tool", 0},
        {"tool", "@/b:@/a", NULL, "@/b/tool", 0},
        {"tool", "@/nonexistent:@/a/data:@/b", NULL, "@/b/tool", 0},
        {"tool", "@/c:@/b", NULL, "@/b/tool", 0},
        {"tool", "@/c", NULL, NULL, -EACCES},
        {"data", "@/a:@/b", NULL, NULL, -EACCES},
        {"folder", "@/b", NULL, NULL, -EACCES},
        {"fifo", "@/b", NULL, NULL, -EACCES},
        {"alias", "@/a", NULL, "@/a/alias", 0},
        {"hf-nowhere", "@/a:@/b", NULL, NULL, -ENOENT},
        {"hf-nowhere", "", NULL, NULL, -ENOENT},
        {"", "@/a", NULL, NULL, -ENOENT},
        {"sh", "", NULL, NULL, -ENOENT},
        {"sh", NULL, NULL, "/usr/bin/sh", 0},
        /* php-fpm's place is searched whatever PATH says */
        {"useradd", "@/a", NULL, "/usr/sbin/useradd", 0},
        {"useradd", NULL, NULL, "/usr/sbin/useradd", 0},
        /* empty and relative elements */
        {"tool", "", "@/a", "@/a/tool", 0},
        {"tool", ":@/b", "@/a", "@/a/tool", 0},
        {"tool", "@/nonexistent:", "@/a", "@/a/tool", 0},
        {"tool", "@/nonexistent::@/b", "@/a", "@/a/tool", 0},
        {"tool", "b", "@", "@/b/tool", 0},
        {"tool", "b/", "@/", "@/b/tool", 0},
        /* with a slash no search */
        {"@/a/tool", "@/b", "@/b", "@/a/tool", 0},
        {"a/tool", "@/b", "@", "@/a/tool", 0},
        {"./tool", "@/b", "@/a", "@/a/./tool", 0},
        {"./tool", "@/b", "@", NULL, -ENOENT},
        {"@/a/data", NULL, NULL, NULL, -EACCES},
        {"@/b/folder", NULL, NULL, NULL, -EISDIR},
        {"@/b/fifo", NULL, NULL, NULL, -EACCES},
        {"@/a/data/tool", NULL, NULL, NULL, -ENOENT},
        {"@/a/none", NULL, NULL, NULL, -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char untouched[] = "untouched";
        char *found = untouched;
        HF_CLEANUP_FREE char *program = expand(cases[i].program);
        HF_CLEANUP_FREE char *path = expand(cases[i].path);
        HF_CLEANUP_FREE char *where = expand(cases[i].directory);
        HF_CLEANUP_FREE char *expected = expand(cases[i].found);
        int r = hf_process_find(program, path, where, &found);
        if (r != cases[i].error)
            print_error("%s in %s\n", cases[i].program, cases[i].path);
        assert_int_equal(r, cases[i].error);
        if (r < 0) {
            assert_ptr_equal(found, untouched);
        } else {
            assert_string_equal(found, expected);
            free(found);
        }
    }
}

static void test_find_in_the_working_directory(void **state)
{
    static const struct {
        const char *program;
        const char *path;
        const char *directory;
        const char *found;
    } cases[] = {
        {"tool", "", NULL, "@/a/tool"},
        {"tool", "../b", NULL, "@/a/../b/tool"},
        {"./tool", NULL, NULL, "@/a/./tool"},
        {"./tool", NULL, "../b", "@/a/../b/./tool"},
    };
    HF_CLEANUP_FD int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    HF_CLEANUP_FREE char *inside = expand("@/a");

    (void)state;
    assert_int_equal(chdir(inside), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HF_CLEANUP_FREE char *found = NULL;
        HF_CLEANUP_FREE char *expected = expand(cases[i].found);
        assert_int_equal(
            hf_process_find(cases[i].program, cases[i].path, cases[i].directory, &found), 0);
        assert_string_equal(found, expected);
    }
    assert_int_equal(fchdir(before), 0);
}

/* A /bin/cat that lives until its stdin is closed. */
static HfProcess start_cat(int *ret_input)
{
    HfSpawn spawn = spawning("/bin/cat", STRINGS("cat"));
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn.stdin_fd = ends[0];
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    close(ends[0]);
    *ret_input = ends[1];
    return process;
}

static void test_program(void **state)
{
    struct stat cat;
    HfProgram program;
    int input;

    (void)state;
    HfProcess process = start_cat(&input);
    pid_t pid = process.pid;
    assert_int_equal(stat("/bin/cat", &cat), 0);
    assert_int_equal(hf_process_program(pid, &program), 0);
    assert_int_equal(program.device, cat.st_dev);
    assert_int_equal(program.inode, cat.st_ino);
    assert_string_equal(program.comm, "cat");
    pid_t parent = 0;
    assert_int_equal(hf_process_parent(pid, &parent), 0);
    assert_int_equal(parent, getpid());
    close(input);
    expect_exit(&process, 0);

    HfProgram before = program;
    uint64_t started = 4242;
    assert_int_equal(hf_process_program(pid, &program), -ESRCH);
    assert_memory_equal(&program, &before, sizeof(program));
    parent = 4242;
    assert_int_equal(hf_process_parent(pid, &parent), -ESRCH);
    assert_int_equal(parent, 4242);
    assert_int_equal(hf_process_started(pid, &started), -ESRCH);
    assert_int_equal(started, 4242);
}

static int see_only_comm(const void *data)
{
    HfProgram program;

    drop_privileges();
    if (hf_process_program(*(const pid_t *)data, &program) != 0)
        return 90;
    return program.inode == 0 && strcmp(program.comm, "kept (private)") == 0 ? 0 : 91;
}

static int wait_for_end_of_input(const char *name)
{
    char byte;

    prctl(PR_SET_NAME, name);
    prctl(PR_SET_DUMPABLE, 0);
    if (write(STDOUT_FILENO, "", 1) != 1)
        return 1;
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

/* This test by another name, which shows no more of itself than its name. */
static HfProcess start_named(const char *name, int *ret_input)
{
    HfSpawn spawn = spawning(SELF, STRINGS("test", name));
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    int input[2];
    int output[2];
    char byte;

    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    spawn.stdin_fd = input[0];
    spawn.stdout_fd = output[1];
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    close(input[0]);
    close(output[1]);
    assert_int_equal(read(output[0], &byte, 1), 1);
    close(output[0]);
    *ret_input = input[1];
    return process;
}

static void test_program_that_may_not_be_read(void **state)
{
    int input;

    (void)state;
    HfProcess process = start_named("kept (private)", &input);
    in_fork(see_only_comm, &process.pid);
    close(input);
    expect_exit(&process, 0);
}

static uint64_t now(void)
{
    struct timespec time;

    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &time), 0);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void test_started(void **state)
{
    static const char *const names[] = {"plain", "a) R 1 2 3 (", ") ) 9 9 9", "((", "\n) 1\n"};
    const uint64_t tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        uint64_t started = 0;
        uint64_t again = 0;
        int input;
        uint64_t before = now();
        HfProcess process = start_named(names[i], &input);
        uint64_t after = now();
        assert_int_equal(hf_process_started(process.pid, &started), 0);
        assert_in_range(started, before - tick, after);
        assert_int_equal(hf_process_started(process.pid, &again), 0);
        assert_int_equal(started, again);
        close(input);
        expect_exit(&process, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return wait_for_end_of_input(argv[1]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),    cmocka_unit_test(test_find_in_the_working_directory),
        cmocka_unit_test(test_program), cmocka_unit_test(test_program_that_may_not_be_read),
        cmocka_unit_test(test_started),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
