/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include <sys/syscall.h>

/* Runs with stdout in a pipe, expects exit 0; the output is owned. */
static char *output_of(HfSpawn spawn, pid_t *ret_pid)
{
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn.stdout_fd = ends[1];
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    close(ends[1]);
    char *output = read_all(ends[0]);
    close(ends[0]);
    if (ret_pid)
        *ret_pid = process.pid;
    expect_exit(&process, 0);
    return output;
}

static void test_environment_is_exactly_what_was_given(void **state)
{
    HfSpawn spawn = spawning("/usr/bin/env", STRINGS("env"));

    (void)state;
    setenv("HF_TEST_OF_THE_PARENT", "1", 1);
    spawn.envp = STRINGS("A=1", "LISTEN_PID=7", "B=two words");
    HF_CLEANUP_FREE char *output = output_of(spawn, NULL);
    assert_string_equal(output, "A=1\nLISTEN_PID=7\nB=two words\n");
}

static void test_listen_pid_is_the_child(void **state)
{
    HfSpawn spawn = spawning("/usr/bin/env", STRINGS("env"));
    char expected[128];
    pid_t pid;

    (void)state;
    spawn.envp = STRINGS("LISTEN_PID=1", "LISTEN_FDS=0", "LISTEN_PIDX=2", "LISTEN_PID=3");
    spawn.listen_pid = true;
    HF_CLEANUP_FREE char *output = output_of(spawn, &pid);
    snprintf(expected, sizeof(expected), "LISTEN_FDS=0\nLISTEN_PIDX=2\nLISTEN_PID=%d\n", (int)pid);
    assert_string_equal(output, expected);
}

static void on_nothing(int number)
{
    (void)number;
}

static void expect_status_line(const char *status, const char *name)
{
    const char *line = strstr(status, name);

    assert_non_null(line);
    assert_memory_equal(line + strlen(name), "\t0000000000000000\n", 18);
}

/* As without us in between: ignored is what was ignored, nothing is blocked or handled. */
static void test_only_what_is_ignored_stays(void **state)
{
    const int ignored[] = {SIGPIPE, SIGHUP, SIGRTMIN + 1, SIGRTMAX};
    uint64_t bits = 0;
    char expected[32];
    sigset_t blocked;
    sigset_t before;
    sigset_t after;

    (void)state;
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        assert_true(signal(ignored[i], SIG_IGN) != SIG_ERR);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        bits |= UINT64_C(1) << (ignored[i] - 1);
    snprintf(expected, sizeof(expected), "SigIgn:\t%016llx\n", (unsigned long long)bits);
    assert_true(signal(SIGUSR1, on_nothing) != SIG_ERR);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGRTMIN + 2);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, NULL), 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &before), 0);

    HF_CLEANUP_FREE char *status =
        output_of(spawning("/bin/cat", STRINGS("cat", "/proc/self/status")), NULL);
    expect_status_line(status, "SigBlk:");
    assert_non_null(strstr(status, expected));
    expect_status_line(status, "SigCgt:");

    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
    for (int number = 1; number <= SIGRTMAX; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        assert_true(signal(ignored[i], SIG_DFL) == SIG_IGN);
    assert_true(signal(SIGUSR1, SIG_DFL) == on_nothing);
    sigemptyset(&blocked);
    assert_int_equal(sigprocmask(SIG_SETMASK, &blocked, NULL), 0);
}

static pid_t session_in(const char *stat)
{
    int session;

    assert_int_equal(sscanf(strrchr(stat, ')'), ") %*c %*d %*d %d", &session), 1);
    return session;
}

static void test_session(void **state)
{
    HfSpawn spawn = spawning("/bin/cat", STRINGS("cat", "/proc/self/stat"));
    pid_t pid;

    (void)state;
    HF_CLEANUP_FREE char *shared = output_of(spawn, &pid);
    assert_int_equal(session_in(shared), getsid(0));
    assert_int_not_equal(session_in(shared), pid);
    spawn.session = true;
    HF_CLEANUP_FREE char *own = output_of(spawn, &pid);
    assert_int_equal(session_in(own), pid);
}

static void test_directory_comes_before_the_program(void **state)
{
    HfSpawn spawn = spawning("bin/pwd", STRINGS("pwd"));

    (void)state;
    spawn.directory = "/usr";
    HF_CLEANUP_FREE char *output = output_of(spawn, NULL);
    assert_string_equal(output, "/usr\n");
}

/* What `fds` prints for a descriptor. */
static void add_fd(HfText *text, int number, int fd)
{
    struct stat found;

    assert_int_equal(fstat(fd, &found), 0);
    hf_text_addf(text, "%d %jx:%ju %s\n", number, (uintmax_t)found.st_dev, (uintmax_t)found.st_ino,
                 fcntl(fd, F_GETFL) & O_NONBLOCK ? "nonblock" : "block");
}

/* The child: every open descriptor, with nothing opened to find out. */
static int print_fds(int output)
{
    HF_CLEANUP_TEXT HfText text = {0};

    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            add_fd(&text, fd, fd);
    return write(output, text.data, text.length) == (ssize_t)text.length ? 0 : 1;
}

static void test_nothing_else_is_open(void **state)
{
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    HF_CLEANUP_TEXT HfText expected = {0};
    HF_CLEANUP_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    HF_CLEANUP_FD int out = make_memfd();
    HF_CLEANUP_FD int leaked = dup2(out, 200);
    HF_CLEANUP_FD int low = fcntl(out, F_DUPFD, 3);
    int ends[2];

    (void)state;
    assert_true(leaked == 200 && low >= 3);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    const int fds[] = {ends[0], out, ends[1], out};
    HfSpawn spawn = spawning(SELF, STRINGS("test", "fds", "1"));
    spawn.stdout_fd = out;
    spawn.stderr_fd = out;
    spawn.fds = fds;
    spawn.n_fds = 4;
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    expect_exit(&process, 0);

    const int table[] = {null, out, out, ends[0], out, ends[1], out};
    for (int i = 0; i < 7; i++)
        add_fd(&expected, i, table[i]);
    assert_int_equal(lseek(out, 0, SEEK_SET), 0);
    HF_CLEANUP_FREE char *printed = read_all(out);
    assert_string_equal(printed, hf_text_peek(&expected));
    assert_int_equal(fcntl(out, F_GETFD), FD_CLOEXEC);
    close(ends[0]);
    close(ends[1]);
}

static void test_sources_among_the_targets(void **state)
{
    static const int orders[][3] = {{3, 4, 5}, {3, 5, 4}, {4, 3, 5},
                                    {4, 5, 3}, {5, 3, 4}, {5, 4, 3}};

    (void)state;
    for (size_t order = 0; order < sizeof(orders) / sizeof(*orders); order++) {
        HF_CLEANUP_TEXT HfText expected = {0};
        int held[3];
        for (int i = 0; i < 3; i++) {
            held[i] = make_memfd();
            assert_int_equal(held[i], 3 + i);
        }
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        HF_CLEANUP_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        add_fd(&expected, 0, null);
        add_fd(&expected, 1, ends[1]);
        add_fd(&expected, 2, STDERR_FILENO);
        for (int i = 0; i < 3; i++)
            add_fd(&expected, 3 + i, orders[order][i]);
        close(ends[0]);
        close(ends[1]);

        HfSpawn spawn = spawning(SELF, STRINGS("test", "fds", "1"));
        spawn.fds = orders[order];
        spawn.n_fds = 3;
        HF_CLEANUP_FREE char *printed = output_of(spawn, NULL);
        /* The pipe is another one each time: all but its line. */
        const char *rest = strchr(strchr(printed, '\n') + 1, '\n');
        assert_string_equal(rest, strchr(strchr(expected.data, '\n') + 1, '\n'));
        assert_memory_equal(printed, expected.data, strcspn(expected.data, "\n") + 1);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(fcntl(held[i], F_GETFD), FD_CLOEXEC);
            close(held[i]);
        }
    }
}

#define N_ROTATED 6

typedef struct Rotation {
    int files[N_ROTATED];
    int by;
    bool become;
} Rotation;

/* Puts the files at 0 to 5 and asks for them by numbers that are all taken by one another. */
static int rotate(const void *data)
{
    const Rotation *rotation = data;
    int sources[N_ROTATED];
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;

    for (int i = 0; i < N_ROTATED; i++) {
        if (dup2(rotation->files[i], i) < 0)
            return 90;
        sources[i] = (i + rotation->by) % N_ROTATED;
    }
    HfSpawn spawn = spawning(SELF, STRINGS("test", "fds", "1"));
    spawn.stdin_fd = sources[0];
    spawn.stdout_fd = sources[1];
    spawn.stderr_fd = sources[2];
    spawn.fds = sources + 3;
    spawn.n_fds = N_ROTATED - 3;
    if (rotation->become) {
        (void)hf_process_become(&spawn, &stage);
        return 91;
    }
    if (hf_process_spawn(&spawn, &process, &stage) < 0)
        return 92;
    siginfo_t info = reap(&process);
    return info.si_code == CLD_EXITED ? info.si_status : 93;
}

static void test_standard_descriptors_among_the_sources(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_ROTATED; i++) {
        Rotation rotation = {.by = i / 2, .become = i % 2};
        HF_CLEANUP_TEXT HfText expected = {0};
        for (int file = 0; file < N_ROTATED; file++)
            rotation.files[file] = hf_fd_raise(make_memfd(), 50);
        in_fork(rotate, &rotation);

        for (int target = 0; target < N_ROTATED; target++)
            add_fd(&expected, target, rotation.files[(target + rotation.by) % N_ROTATED]);
        int out = rotation.files[(1 + rotation.by) % N_ROTATED];
        assert_int_equal(lseek(out, 0, SEEK_SET), 0);
        HF_CLEANUP_FREE char *printed = read_all(out);
        assert_string_equal(printed, expected.data);
        for (int file = 0; file < N_ROTATED; file++)
            close(rotation.files[file]);
    }
}

static int spawn_without_standard_descriptors(const void *data)
{
    HfSpawn spawn = spawning(SELF, STRINGS("test", "fds", "3"));
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;

    spawn.fds = data;
    spawn.n_fds = 1;
    if (close_range(0, 2, 0) < 0 || hf_process_spawn(&spawn, &process, &stage) < 0)
        return 90;
    return reap(&process).si_status;
}

static void test_closed_standard_descriptors_become_null(void **state)
{
    HF_CLEANUP_FD int out = hf_fd_raise(make_memfd(), 50);
    HF_CLEANUP_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    HF_CLEANUP_TEXT HfText expected = {0};

    (void)state;
    in_fork(spawn_without_standard_descriptors, &out);
    assert_int_equal(lseek(out, 0, SEEK_SET), 0);
    HF_CLEANUP_FREE char *printed = read_all(out);
    for (int i = 0; i < 3; i++)
        add_fd(&expected, i, null);
    add_fd(&expected, 3, out);
    assert_string_equal(printed, expected.data);
}

static void expect_no_children(void)
{
    siginfo_t info;

    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_failures_name_their_stage(void **state)
{
    static const int closed[] = {900};
    static const struct {
        const char *program;
        const char *directory;
        size_t n_fds;
        int stdin_fd;
        HfSpawnStage stage;
        int error;
    } cases[] = {
        {"/nonexistent/program", NULL, 0, -1, HF_SPAWN_EXEC, -ENOENT},
        {"/etc/passwd", NULL, 0, -1, HF_SPAWN_EXEC, -EACCES},
        {"/usr", NULL, 0, -1, HF_SPAWN_EXEC, -EACCES},
        {"bin/true", "/etc", 0, -1, HF_SPAWN_EXEC, -ENOENT},
        {"/bin/true", "/nonexistent", 0, -1, HF_SPAWN_DIRECTORY, -ENOENT},
        {"/bin/true", "/etc/passwd", 0, -1, HF_SPAWN_DIRECTORY, -ENOTDIR},
        {"/bin/true", NULL, 1, -1, HF_SPAWN_DESCRIPTORS, -EBADF},
        {"/bin/true", NULL, 0, 900, HF_SPAWN_DESCRIPTORS, -EBADF},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HfProcess process = {.pid = 4242, .pidfd = 4243};
        HfSpawnStage stage = HF_SPAWN_SESSION;
        size_t open_before = count_fds();
        HfSpawn spawn = spawning(cases[i].program, STRINGS("program"));
        spawn.directory = cases[i].directory;
        spawn.stdin_fd = cases[i].stdin_fd;
        spawn.fds = closed;
        spawn.n_fds = cases[i].n_fds;
        spawn.session = true;
        assert_int_equal(hf_process_spawn(&spawn, &process, &stage), cases[i].error);
        assert_int_equal(stage, cases[i].stage);
        assert_int_equal(process.pid, 4242);
        assert_int_equal(process.pidfd, 4243);
        assert_int_equal(count_fds(), open_before);
        expect_no_children();
    }
}

/* Wherever the error pipe lands, some of these targets are in its way. */
static void test_failure_is_told_in_spite_of_many_descriptors(void **state)
{
    enum {
        MANY = 64,
    };
    HF_CLEANUP_FD int passed = make_memfd();
    HfSpawn spawn = spawning("/nonexistent", STRINGS("program"));
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        fds[i] = passed;
    spawn.fds = fds;
    spawn.n_fds = MANY;
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), -ENOENT);
    assert_int_equal(stage, HF_SPAWN_EXEC);
    assert_int_equal(lseek(passed, 0, SEEK_END), 0);
    expect_no_children();
}

static void test_no_descriptors_left(void **state)
{
    const HfSpawn spawn = spawning("/bin/true", STRINGS("true"));

    (void)state;
    static const struct {
        int more;
        HfSpawnStage stage;
    } cases[] = {
        {0, HF_SPAWN_FORK},
        {1, HF_SPAWN_FORK},
        {2, HF_SPAWN_DESCRIPTORS}, /* enough for the pipe, not for the child's copies */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        HfProcess process = {.pid = 4242, .pidfd = 4243};
        HfSpawnStage stage = HF_SPAWN_EXEC;
        size_t open_before = count_fds();
        struct rlimit old = limit_fds(cases[i].more);
        int r = hf_process_spawn(&spawn, &process, &stage);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, -EMFILE);
        assert_int_equal(stage, cases[i].stage);
        assert_int_equal(process.pid, 4242);
        assert_int_equal(count_fds(), open_before);
        expect_no_children();
    }
}

/* What the child writes to before it executes is a pipe without room, as a file system that does
 * not answer would be. */
static void test_begin_does_not_wait_for_the_child(void **state)
{
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage = HF_SPAWN_FORK;
    HfSpawn spawn = spawning("/nonexistent", STRINGS("nonexistent"));
    char filling[4096] = {0};
    int ends[2];
    int outcome = -1;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], filling, sizeof(filling)) > 0)
        ;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    spawn.cgroup = &ends[1];
    assert_int_equal(hf_process_begin(&spawn, &process, &outcome), 0); /* or the test hangs */
    assert_int_equal(fcntl(outcome, F_GETFD), FD_CLOEXEC);
    assert_int_equal(hf_process_outcome(outcome, &stage), HF_SPAWN_PENDING);
    assert_true(read(ends[0], filling, sizeof(filling)) > 0);
    struct pollfd known = {.fd = outcome, .events = POLLIN};
    assert_int_equal(poll(&known, 1, -1), 1);
    assert_int_equal(hf_process_outcome(outcome, &stage), -ENOENT);
    assert_int_equal(stage, HF_SPAWN_EXEC);
    expect_exit(&process, 127);
    close(outcome);
    close(ends[0]);
    close(ends[1]);
}

static void test_outcome_of_a_child_that_runs_and_of_one_that_does_not(void **state)
{
    static const char *const programs[] = {"/bin/true", "/etc/passwd"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        HfProcess process = HF_PROCESS_NONE;
        HfSpawnStage stage = HF_SPAWN_FORK;
        HfSpawn spawn = spawning(programs[i], STRINGS("program"));
        int outcome = -1;
        assert_int_equal(hf_process_begin(&spawn, &process, &outcome), 0);
        struct pollfd known = {.fd = outcome, .events = POLLIN};
        assert_int_equal(poll(&known, 1, -1), 1);
        assert_int_equal(hf_process_outcome(outcome, &stage), i == 0 ? 0 : -EACCES);
        expect_exit(&process, i == 0 ? 0 : 126);
        close(outcome);
    }
}

static void test_pidfd(void **state)
{
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    HfSpawn spawn = spawning("/bin/cat", STRINGS("cat"));
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn.stdin_fd = ends[0];
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    assert_int_equal(fcntl(process.pidfd, F_GETFD), FD_CLOEXEC);
    int pidfd = fcntl(process.pidfd, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(hf_process_signal(pidfd, 0), 0);
    assert_int_equal(hf_process_signal(pidfd, SIGTERM), 0);
    siginfo_t info = reap(&process);
    assert_int_equal(info.si_code, CLD_KILLED);
    assert_int_equal(info.si_status, SIGTERM);
    assert_int_equal(process.pid, 0);
    assert_int_equal(process.pidfd, -1);
    assert_int_equal(hf_process_signal(pidfd, SIGTERM), -ESRCH);
    close(pidfd);
    close(ends[0]);
    close(ends[1]);
}

static int become_env(const void *data)
{
    const int *files = data;
    HfSpawn spawn = spawning(
        "/bin/sh",
        STRINGS("sh", "-c",
                "[ $LISTEN_PID = $$ ] && [ $A = 1 ] && exec /bin/cat - /proc/self/status <&3"));
    HfSpawnStage stage;
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    spawn.envp = STRINGS("LISTEN_PID=1", "A=1");
    spawn.listen_pid = true;
    spawn.stdout_fd = files[1];
    spawn.fds = files;
    spawn.n_fds = 1;
    (void)hf_process_become(&spawn, &stage);
    return 90;
}

static void test_become(void **state)
{
    int files[] = {make_memfd(), make_memfd()};

    (void)state;
    assert_int_equal(pwrite(files[0], "passed\n", 7, 0), 7);
    in_fork(become_env, files);
    assert_int_equal(lseek(files[1], 0, SEEK_SET), 0);
    HF_CLEANUP_FREE char *printed = read_all(files[1]);
    assert_memory_equal(printed, "passed\n", 7);
    expect_status_line(printed, "SigBlk:");
    assert_non_null(strstr(printed, "SigIgn:\t0000000000001000\n"));
    close(files[0]);
    close(files[1]);
}

static int become_nothing(const void *data)
{
    HfSpawn spawn = spawning("/nonexistent", STRINGS("program"));
    HfSpawnStage stage = HF_SPAWN_FORK;
    sigset_t before;
    sigset_t after;

    sigemptyset(&before);
    sigaddset(&before, SIGTERM);
    sigprocmask(SIG_SETMASK, &before, NULL);
    spawn.directory = data;
    int r = hf_process_become(&spawn, &stage);
    sigprocmask(SIG_SETMASK, NULL, &after);
    if (r != -ENOENT)
        return 90;
    if (stage != (data ? HF_SPAWN_DIRECTORY : HF_SPAWN_EXEC))
        return 91;
    return sigismember(&after, SIGTERM) == 1 && sigismember(&after, SIGHUP) == 0 ? 0 : 92;
}

static void test_become_fails(void **state)
{
    (void)state;
    in_fork(become_nothing, NULL);
    in_fork(become_nothing, "/nonexistent");
}

int main(int argc, char **argv)
{
    const unsigned long by_default[4] = {0}; /* as the kernel's sigaction */

    /* make ignores two that signal() does not know */
    for (int number = 1; number <= SIGRTMAX; number++)
        (void)syscall(SYS_rt_sigaction, number, by_default, NULL, (size_t)8);
    if (argc == 3 && strcmp(argv[1], "fds") == 0)
        return print_fds(argv[2][0] - '0');

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment_is_exactly_what_was_given),
        cmocka_unit_test(test_listen_pid_is_the_child),
        cmocka_unit_test(test_only_what_is_ignored_stays),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_directory_comes_before_the_program),
        cmocka_unit_test(test_nothing_else_is_open),
        cmocka_unit_test(test_sources_among_the_targets),
        cmocka_unit_test(test_standard_descriptors_among_the_sources),
        cmocka_unit_test(test_closed_standard_descriptors_become_null),
        cmocka_unit_test(test_failures_name_their_stage),
        cmocka_unit_test(test_failure_is_told_in_spite_of_many_descriptors),
        cmocka_unit_test(test_no_descriptors_left),
        cmocka_unit_test(test_begin_does_not_wait_for_the_child),
        cmocka_unit_test(test_outcome_of_a_child_that_runs_and_of_one_that_does_not),
        cmocka_unit_test(test_pidfd),
        cmocka_unit_test(test_become),
        cmocka_unit_test(test_become_fails),
    };
    /* The tests put descriptors at numbers of their choice. */
    close_range(3, ~0U, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
