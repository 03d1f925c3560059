/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "kernel/members.h"

typedef struct Found {
    HfProcess *processes;
    size_t n;
    size_t capacity;
} Found;

static void forget_found(HfProcess *processes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hf_process_clear(&processes[i]);
    free(processes);
}

static int keep_visited(HfProcess *process, void *userdata)
{
    Found *found = userdata;

    int r = hf_array_reserve(&found->processes, &found->capacity, found->n + 1, sizeof(*process));
    assert_int_equal(r, 0);
    found->processes[found->n++] = *process;
    *process = HF_PROCESS_NONE;
    return 0;
}

/* Nothing is given on failure. */
static int find_all(HfProcessMatch match, const void *wanted, HfProcess **ret, size_t *ret_n)
{
    Found found = {0};

    int r = hf_process_visit(match, wanted, keep_visited, &found);
    if (r < 0) {
        forget_found(found.processes, found.n);
        return r;
    }
    *ret = found.processes;
    *ret_n = found.n;
    return 0;
}

static int find_members(const HfMembership *membership, HfProcess **ret, size_t *ret_n)
{
    return find_all(hf_process_is_member, membership, ret, ret_n);
}

/* Those among them that descend from this process, if so asked. */
static bool only_ours;

static int is_holder_here(pid_t pid, const void *sockets)
{
    int r = only_ours ? hf_process_is_descendant(pid, NULL) : 1;

    return r <= 0 ? r : hf_process_is_holder(pid, sockets);
}

static int find_holders(const int *fds, size_t n_fds, bool ours, HfProcess **ret, size_t *ret_n)
{
    HfHeldSockets sockets = {0};

    only_ours = ours;
    int r = hf_held_sockets_identify(fds, n_fds, &sockets);
    if (r >= 0)
        r = find_all(is_holder_here, &sockets, ret, ret_n);
    hf_held_sockets_clear(&sockets);
    return r;
}

static int open_member(pid_t pid, const HfMembership *membership, HfProcess *ret)
{
    return hf_process_open_match(pid, hf_process_is_member, membership, ret);
}

/* A session: a shell as its leader and two children that run this test's program. */
typedef struct Session {
    HfProcess leader;
    int input; /* closing it ends the children, and then the leader */
} Session;

static void expect_line(int fd)
{
    char byte;

    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(byte, '\n');
}

/* role: wait, or hide, that is, wait and let nobody see the program. */
static Session start_session(const char *role)
{
    char self[4096];
    ssize_t length = readlink(SELF, self, sizeof(self) - 1);
    assert_true(length > 0);
    self[length] = '\0';

    HfSpawn spawn =
        spawning("/bin/sh", STRINGS("sh", "-c", "\"$0\" $1 <&3 & \"$0\" $1 <&3 & exec 3<&-; wait",
                                    self, role));
    Session session = {.leader = HF_PROCESS_NONE};
    HfSpawnStage stage;
    int input[2];
    int output[2];

    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    spawn.stdout_fd = output[1];
    spawn.fds = input;
    spawn.n_fds = 1;
    spawn.session = true;
    assert_int_equal(hf_process_spawn(&spawn, &session.leader, &stage), 0);
    close(input[0]);
    close(output[1]);
    expect_line(output[0]);
    expect_line(output[0]);
    close(output[0]);
    session.input = input[1];
    return session;
}

static void reap_any(size_t n)
{
    siginfo_t info;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(waitid(P_ALL, 0, &info, WEXITED), 0);
}

static void expect_n_members(pid_t session, const HfProgram *program, size_t expected)
{
    HfProcess *members = NULL;
    size_t n = 4242;

    assert_int_equal(find_members(&(HfMembership){session, NULL, program, NULL}, &members, &n), 0);
    assert_int_equal(n, expected);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(getsid(members[i].pid), session);
        assert_int_equal(hf_process_signal(members[i].pidfd, 0), 0);
        assert_int_equal(fcntl(members[i].pidfd, F_GETFD), FD_CLOEXEC);
    }
    forget_found(members, n);
}

static HfProgram program_of(pid_t pid)
{
    HfProgram program;

    assert_int_equal(hf_process_program(pid, &program), 0);
    assert_true(program.inode != 0);
    return program;
}

static void test_members_by_session_and_program(void **state)
{
    Session first = start_session("wait");
    Session second = start_session("wait");
    const HfProgram self = program_of(getpid());
    const HfProgram shell = program_of(first.leader.pid);

    (void)state;
    size_t open_before = count_fds();
    expect_n_members(first.leader.pid, NULL, 3);
    expect_n_members(first.leader.pid, &self, 2);
    expect_n_members(first.leader.pid, &shell, 1);
    expect_n_members(second.leader.pid, &self, 2);
    assert_int_equal(count_fds(), open_before);

    HfProgram other = self;
    other.inode++;
    expect_n_members(first.leader.pid, &other, 0);
    other = self;
    other.device++;
    expect_n_members(first.leader.pid, &other, 0);

    close(first.input);
    expect_exit(&first.leader, 0);
    expect_n_members(second.leader.pid, &self, 2);
    close(second.input);
    expect_exit(&second.leader, 0);
}

static void test_orphans_are_found_and_zombies_are_not(void **state)
{
    Session session = start_session("wait");
    const HfProgram self = program_of(getpid());
    pid_t sid = session.leader.pid;
    HfProcess *orphans = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(hf_process_signal(session.leader.pidfd, SIGKILL), 0);
    reap(&session.leader);
    assert_int_equal(find_members(&(HfMembership){sid, NULL, &self, NULL}, &orphans, &n), 0);
    assert_int_equal(n, 2);
    expect_n_members(sid, NULL, 2);

    close(session.input);
    for (size_t i = 0; i < n; i++) {
        struct pollfd exited = {.fd = orphans[i].pidfd, .events = POLLIN};
        assert_int_equal(poll(&exited, 1, -1), 1);
        assert_int_equal(getsid(orphans[i].pid), sid); /* a zombie: ours since its parent died */
    }
    expect_n_members(sid, NULL, 0);
    expect_n_members(sid, &self, 0);
    forget_found(orphans, n);
    reap_any(2);
    expect_n_members(sid, NULL, 0);
}

static void *wait_in_thread(void *unused)
{
    char byte;

    (void)unused;
    prctl(PR_SET_NAME, "second");
    /* The first thread, a zombie, is what /proc shows from here on. */
    for (char stat[512] = ""; !strstr(stat, ") Z ");) {
        int fd = open("/proc/self/stat", O_RDONLY);
        ssize_t n = read(fd, stat, sizeof(stat) - 1);
        close(fd);
        stat[n > 0 ? n : 0] = '\0';
    }
    (void)!write(STDOUT_FILENO, "\n", 1);
    (void)!read(STDIN_FILENO, &byte, 1);
    _exit(0);
}

static void test_open_member(void **state)
{
    Session session = start_session("wait");
    const pid_t strangers[] = {getpid(), 1, 0, -1, INT32_MAX};
    HfProcess process = HF_PROCESS_NONE;

    (void)state;
    assert_int_equal(
        open_member(session.leader.pid, &(HfMembership){.session = session.leader.pid}, &process),
        1);
    assert_int_equal(process.pid, session.leader.pid);
    assert_int_equal(hf_process_signal(process.pidfd, 0), 0);
    hf_process_clear(&process);
    for (size_t i = 0; i < sizeof(strangers) / sizeof(*strangers); i++)
        assert_int_equal(
            open_member(strangers[i], &(HfMembership){.session = session.leader.pid}, &process), 0);
    assert_int_equal(process.pidfd, -1);

    /* A zombie is none. */
    siginfo_t info;
    close(session.input);
    assert_int_equal(waitid(P_PID, (id_t)session.leader.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(
        open_member(session.leader.pid, &(HfMembership){.session = session.leader.pid}, &process),
        0);
    reap_any(1);
    hf_process_clear(&session.leader);
}

static void test_a_process_outlives_its_first_thread(void **state)
{
    HfSpawn spawn = spawning(SELF, STRINGS("first", "thread"));
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;
    HfProgram self = program_of(getpid());
    int input[2];
    int output[2];

    (void)state;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    spawn.stdin_fd = input[0];
    spawn.stdout_fd = output[1];
    spawn.session = true;
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    close(input[0]);
    expect_line(output[0]);
    expect_n_members(process.pid, NULL, 1);
    snprintf(self.comm, sizeof(self.comm), "first");
    expect_n_members(process.pid, &self, 1);
    close(input[1]);
    close(output[0]);
    close(output[1]);
    expect_exit(&process, 0);
}

typedef struct Expected {
    pid_t session;
    HfProgram program;
    ino_t inode;
    size_t n;
} Expected;

static int see_by_comm(const void *data)
{
    const Expected *expected = data;
    HfProcess *members;
    HfProgram other = expected->program;
    size_t n;

    drop_privileges();
    if (find_members(&(HfMembership){expected->session, NULL, &expected->program, NULL}, &members,
                     &n) < 0)
        return 90;
    forget_found(members, n);
    if (n != expected->n)
        return 91;
    other.comm[0] = '!';
    if (find_members(&(HfMembership){expected->session, NULL, &other, NULL}, &members, &n) < 0)
        return 92;
    forget_found(members, n);
    return n == 0 ? 0 : 93;
}

static void test_comm_counts_where_the_program_may_not_be_read(void **state)
{
    Session session = start_session("hide");
    Expected expected = {.session = session.leader.pid, .program = program_of(getpid()), .n = 2};

    (void)state;
    in_fork(see_by_comm, &expected);
    close(session.input);
    expect_exit(&session.leader, 0);
}

static void test_members_without_descriptors(void **state)
{
    Session session = start_session("wait");
    HfProcess untouched;
    HfProcess *members = &untouched;
    size_t n = 4242;
    size_t open_before = count_fds();

    (void)state;
    /* Too few for the directory, a pidfd, the look at a program, all members. */
    for (int i = 0; i < 8; i++) {
        const HfProgram self = program_of(getpid());
        struct rlimit old = limit_fds(i / 2);
        int r = find_members(&(HfMembership){session.leader.pid, NULL, i % 2 ? &self : NULL, NULL},
                             &members, &n);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, -EMFILE);
        assert_ptr_equal(members, &untouched);
        assert_int_equal(n, 4242);
    }
    assert_int_equal(count_fds(), open_before);
    close(session.input);
    expect_exit(&session.leader, 0);
}

static HfProcess start_holder(int socket)
{
    HfSpawn spawn = spawning(SELF, STRINGS("test", "stop"));
    HfProcess process = HF_PROCESS_NONE;
    HfSpawnStage stage;

    spawn.fds = &socket;
    spawn.n_fds = socket >= 0;
    assert_int_equal(hf_process_spawn(&spawn, &process, &stage), 0);
    return process;
}

static void end_holder(HfProcess *process)
{
    assert_int_equal(hf_process_signal(process->pidfd, SIGKILL), 0);
    assert_int_equal(reap(process).si_status, SIGKILL);
}

/* In any order. */
static void expect_holders(const int *fds, size_t n_fds, const HfProcess *expected,
                           size_t n_expected)
{
    HfProcess *holders = NULL;
    size_t n = 4242;

    assert_int_equal(find_holders(fds, n_fds, true, &holders, &n), 0);
    assert_int_equal(n, n_expected);
    for (size_t i = 0; i < n_expected; i++) {
        size_t found = 0;
        for (size_t j = 0; j < n; j++)
            found += holders[j].pid == expected[i].pid;
        assert_int_equal(found, 1);
    }
    forget_found(holders, n);
}

/* In a child: they are its siblings. */
static int see_holders(const void *data)
{
    HfProcess *holders;
    size_t n;

    if (find_holders(data, 1, true, &holders, &n) < 0)
        return 90;
    forget_found(holders, n);
    if (n != 0)
        return 91;
    if (find_holders(data, 1, false, &holders, &n) < 0)
        return 92;
    forget_found(holders, n);
    return n == 3 ? 0 : 93; /* and the parent of them all */
}

static int is_no_descendant(const void *pid)
{
    return hf_process_is_descendant(*(const pid_t *)pid, NULL);
}

static void test_strangers_are_remembered(void **state)
{
    HfProcess ours = start_holder(-1);
    pid_t pid = ours.pid;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hf_process_is_descendant(getpid(), NULL), 0);
        assert_int_equal(hf_process_is_descendant(getppid(), NULL), 0);
        assert_int_equal(hf_process_is_descendant(1, NULL), 0);
        assert_int_equal(hf_process_is_descendant(pid, NULL), 1);
        in_fork(is_no_descendant, &pid);
    }
    end_holder(&ours);
    assert_int_equal(hf_process_is_descendant(pid, NULL), 0);
}

static void test_socket_holders(void **state)
{
    HF_CLEANUP_FD int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_CLEANUP_FD int second = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HF_CLEANUP_FD int unheld = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HfProcess holders[] = {start_holder(first), start_holder(first), start_holder(second)};
    HfProcess bystander = start_holder(-1);
    const int fds[] = {first, second};

    (void)state;
    size_t open_before = count_fds();
    expect_holders(fds, 1, holders, 2);
    expect_holders(fds + 1, 1, holders + 2, 1);
    expect_holders(fds, 2, holders, 3);
    expect_holders(&unheld, 1, NULL, 0);
    expect_holders(NULL, 0, NULL, 0);
    assert_int_equal(count_fds(), open_before);
    in_fork(see_holders, fds);

    end_holder(&holders[0]);
    expect_holders(fds, 1, holders + 1, 1);
    for (size_t i = 1; i < 3; i++)
        end_holder(&holders[i]);
    expect_holders(fds, 2, NULL, 0);
    end_holder(&bystander);
}

/* Files of two mounts may have the same inode number. */
static void test_a_file_of_another_mount_is_no_socket(void **state)
{
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HfProcess holder = start_holder(fd);
    HfHeldSockets sockets = {0};

    (void)state;
    assert_int_equal(hf_held_sockets_identify(&fd, 1, &sockets), 0);
    assert_int_equal(hf_process_is_holder(holder.pid, &sockets), 1);
    sockets.identities[0].mount++;
    assert_int_equal(hf_process_is_holder(holder.pid, &sockets), 0);
    hf_held_sockets_clear(&sockets);
    end_holder(&holder);
}

static void test_holders_without_descriptors(void **state)
{
    HF_CLEANUP_FD int held = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    HfProcess holder = start_holder(held);
    HfProcess *holders = &holder;
    size_t n = 4242;

    (void)state;
    for (int more = 0; more <= 2; more++) {
        struct rlimit old = limit_fds(more);
        int r = find_holders(&held, 1, true, &holders, &n);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, -EMFILE);
        assert_ptr_equal(holders, &holder);
        assert_int_equal(n, 4242);
    }
    end_holder(&holder);
}

static int act(const char *role)
{
    pthread_t thread;
    char byte;

    if (strcmp(role, "stop") == 0)
        return pause();
    if (strcmp(role, "thread") == 0) {
        prctl(PR_SET_NAME, "first");
        if (pthread_create(&thread, NULL, wait_in_thread, NULL) == 0)
            pthread_exit(NULL);
        return 1;
    }
    if (strcmp(role, "hide") == 0)
        prctl(PR_SET_DUMPABLE, 0);
    if (write(STDOUT_FILENO, "\n", 1) != 1)
        return 1;
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return act(argv[1]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_by_session_and_program),
        cmocka_unit_test(test_orphans_are_found_and_zombies_are_not),
        cmocka_unit_test(test_open_member),
        cmocka_unit_test(test_a_process_outlives_its_first_thread),
        cmocka_unit_test(test_comm_counts_where_the_program_may_not_be_read),
        cmocka_unit_test(test_members_without_descriptors),
        cmocka_unit_test(test_strangers_are_remembered),
        cmocka_unit_test(test_socket_holders),
        cmocka_unit_test(test_a_file_of_another_mount_is_no_socket),
        cmocka_unit_test(test_holders_without_descriptors),
    };
    /* Orphans become children of this process, so that it decides when their zombies go. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
