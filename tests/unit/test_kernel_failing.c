/* SPDX-License-Identifier: MIT */
/* What each function of kernel asks for fails in turn, with several errors: it returns an error or
 * does without, leaves nothing behind, and works the next time. */
#include "child_helpers.h"

#include <linux/capability.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../helpers/failing.h"
#include "kernel/account.h"
#include "kernel/cgroup.h"
#include "kernel/file.h"
#include "kernel/lock.h"
#include "kernel/members.h"
#include "kernel/notify_socket.h"
#include "kernel/owner.h"
#include "kernel/priority.h"
#include "kernel/privilege.h"
#include "kernel/sock_diag.h"
#include "kernel/socket.h"
#include "kernel/steer.h"
#include "socket_helpers.h"

#define CALLS_MAX 1000
#define FIRST     25 /* calls of what looks at every process there is, and that slowly */
static const int errors[] = {0,     EINTR,  ENOENT, ESRCH,  EACCES, EAGAIN,
                             EPERM, ENOSYS, EINVAL, EEXIST, ENODEV};

typedef struct Fixture {
    char *directory;
    char path[64];
    int listener; /* TCP */
    int beside;   /* unix */
    Address address;
    Address unix_address;
    HfSocketInode inode;
    HfProcess child;
    /* what a body came to */
    int fd;
    HfProcess process;
    char *text;
    int outcome;
} Fixture;

typedef int (*Body)(Fixture *fixture);

static const char *beside(const Fixture *fixture, const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
    return path;
}

/* The socket at path is the one that was there, and nothing is beside it. */
static void restore_path(Fixture *fixture)
{
    char hidden[HF_LISTENER_PATH_MAX];

    assert_int_equal(hf_steer_name_hidden(fixture->path, 0, hidden), 0);
    if (hf_socket_path_is(fixture->path, &fixture->inode) == 0)
        assert_int_equal(rename(hidden, fixture->path), 0);
    (void)unlink(hidden);
    (void)unlink(beside(fixture, "other"));
    (void)rmdir(beside(fixture, "group"));
}

static void clear(Fixture *fixture)
{
    restore_path(fixture);
    if (fixture->process.pid > 0) {
        (void)hf_process_signal(fixture->process.pidfd, SIGKILL);
        waitid(P_PID, (id_t)fixture->process.pid, &(siginfo_t){0}, WEXITED);
    }
    hf_process_clear(&fixture->process);
    fixture->fd = hf_fd_close(fixture->fd);
    fixture->outcome = hf_fd_close(fixture->outcome);
    free(fixture->text);
    fixture->text = NULL;
}

static void fail_each(const char *name, Body body, Fixture *fixture, size_t most)
{
    const size_t before = count_fds();

    for (size_t e = 0; e < (most == FIRST ? 5 : sizeof(errors) / sizeof(*errors)); e++) {
        bool failed = true;
        for (size_t n = 0; failed && n < most; n++) {
            hf_failing_begin(n, errors[e]);
            int r = body(fixture);
            failed = hf_failing_end();
            clear(fixture);
            if (!failed && r < 0)
                fail_msg("%s: %d, and nothing failed", name, r);
            if (count_fds() != before)
                fail_msg("%s: call %zu failed with %d: a descriptor is left, r = %d", name, n,
                         errors[e], r);
        }
        if (failed && most == CALLS_MAX)
            fail_msg("%s: there is no end to its calls", name);
    }
}
#define FAIL_EACH(body)  fail_each(#body, body, *state, CALLS_MAX)
#define FAIL_FIRST(body) fail_each(#body, body, *state, FIRST)

static int set_up(void **state)
{
    Fixture *fixture = calloc(1, sizeof(*fixture));
    void *directory = NULL;
    static char *const argv[] = {(char *)(uintptr_t) "sleep", (char *)(uintptr_t) "60", NULL};
    HfSpawn spawn = spawning("/bin/sleep", argv);
    HfSpawnStage stage;

    if (!fixture || make_directory(&directory) < 0)
        return -1;
    fixture->directory = directory;
    fixture->fd = fixture->outcome = -1;
    fixture->process = HF_PROCESS_NONE;
    snprintf(fixture->path, sizeof(fixture->path), "%s/socket", fixture->directory);
    fixture->address = address_ip("127.0.0.1", 0);
    fixture->listener = make_listener(&fixture->address, 8);
    fixture->address = address_of(fixture->listener);
    fixture->unix_address = address_unix(fixture->path);
    fixture->beside = make_listener(&fixture->unix_address, 8);
    spawn.session = true;
    *state = fixture;
    return hf_socket_path_inode(fixture->path, &fixture->inode) < 0 ||
                   hf_process_spawn(&spawn, &fixture->child, &stage) < 0
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    void *directory = fixture->directory;

    hf_failing_end();
    assert_int_equal(hf_process_signal(fixture->child.pidfd, SIGKILL), 0);
    (void)reap(&fixture->child);
    close(fixture->listener);
    close(fixture->beside);
    unlink(fixture->path);
    free(fixture);
    return remove_directory(&directory);
}

/* ---- files ---- */

static int write_file(Fixture *fixture)
{
    return hf_file_write(beside(fixture, "file"), "text", 4, 0600);
}

static int read_file(Fixture *fixture)
{
    return hf_file_read(beside(fixture, "file"), 100, &fixture->text, NULL);
}

static int make_directories(Fixture *fixture)
{
    return hf_file_make_directory(beside(fixture, "a/b"), 0700);
}

static int remove_directories(Fixture *fixture)
{
    int r = hf_file_remove_directory(beside(fixture, "a/b"), NULL, NULL);

    return r < 0 ? r : hf_file_remove_directory(beside(fixture, "a"), NULL, NULL);
}

static int make_memfile(Fixture *fixture)
{
    fixture->fd = hf_memfile_make("name", "text", 4);
    return fixture->fd;
}

static int replace_memfile(Fixture *fixture)
{
    size_t length;

    fixture->fd = hf_memfile_open("name");
    int r = fixture->fd < 0 ? fixture->fd : hf_memfile_replace(fixture->fd, "text", 4);
    return r < 0 ? r : hf_memfile_read(fixture->fd, 100, &fixture->text, &length);
}

static void test_files(void **state)
{
    Fixture *fixture = *state;

    FAIL_EACH(write_file);
    FAIL_EACH(read_file);
    FAIL_EACH(make_directories);
    FAIL_EACH(remove_directories);
    FAIL_EACH(make_memfile);
    FAIL_EACH(replace_memfile);
    (void)hf_file_remove_directory(beside(fixture, "a/b"), NULL, NULL);
    (void)hf_file_remove_directory(beside(fixture, "a"), NULL, NULL);
    assert_int_equal(unlink(beside(fixture, "file")), 0);
}

/* ---- locks ---- */

static int take_lock(Fixture *fixture)
{
    pid_t holder;

    fixture->fd = hf_lock_take(beside(fixture, "lock"), &holder);
    return fixture->fd < 0 ? fixture->fd : hf_lock_is(beside(fixture, "lock"), fixture->fd) - 1;
}

static int meet_lock(Fixture *fixture)
{
    pid_t holder;
    int r = hf_lock_take(beside(fixture, "lock"), &holder);

    return r == -EWOULDBLOCK ? 0 : r;
}

static int await_lock(Fixture *fixture)
{
    return hf_lock_await(beside(fixture, "lock"), 2000);
}

static int discard_lock(Fixture *fixture)
{
    int r = hf_lock_discard_open(beside(fixture, "lock"));

    return r == -EPERM || r == -ENOENT ? 0 : r;
}

static void test_locks(void **state)
{
    Fixture *fixture = *state;
    pid_t holder;

    FAIL_EACH(take_lock);
    FAIL_EACH(await_lock);
    int held = hf_lock_take(beside(fixture, "lock"), &holder);
    assert_true(held >= 0);
    FAIL_EACH(meet_lock);
    FAIL_EACH(discard_lock);
    close(held);
    unlink(beside(fixture, "lock"));
}

/* ---- datagrams ---- */

static int open_notify(Fixture *fixture)
{
    fixture->fd = hf_notifysocket_open(beside(fixture, "notify"));
    return fixture->fd;
}

static int notify(Fixture *fixture)
{
    char buffer[64];
    pid_t pid;
    uid_t uid;

    fixture->fd = hf_notifysocket_open(beside(fixture, "notify"));
    if (fixture->fd < 0)
        return fixture->fd;
    int r = hf_notifysocket_send_fd(beside(fixture, "notify"), "READY=1", 0);
    fixture->outcome = hf_notifysocket_connect(beside(fixture, "notify"));
    (void)hf_notifysocket_stands(beside(fixture, "notify"));
    if (r < 0 || fixture->outcome < 0)
        return r < 0 ? r : fixture->outcome;
    ssize_t n = hf_notifysocket_receive(fixture->fd, buffer, sizeof(buffer), &pid, &uid);
    return n < 0 ? (int)n : 0;
}

static void test_datagrams(void **state)
{
    FAIL_EACH(open_notify);
    FAIL_EACH(notify);
    unlink(beside(*state, "notify"));
}

/* ---- processes ---- */

static int look_at_processes(Fixture *fixture)
{
    const HfMembership member = {.session = fixture->child.pid, .cgroup = "/nowhere"};
    HfProgram program;
    HfProcessList list = {0};
    uint64_t number;
    pid_t pid;

    int r =
        hf_process_open_match(fixture->child.pid, hf_process_is_member, &member, &fixture->process);
    hf_process_clear(&fixture->process);
    if (r >= 0)
        r = hf_process_program(fixture->child.pid, &program);
    if (r >= 0)
        r = hf_process_started(fixture->child.pid, &number);
    if (r >= 0)
        r = hf_process_memory(fixture->child.pid, &number);
    if (r >= 0)
        r = hf_process_parent(fixture->child.pid, &pid);
    if (r >= 0)
        r = hf_process_of_pidfd(fixture->child.pidfd, &pid);
    if (r >= 0)
        r = hf_process_signal(fixture->child.pidfd, SIGCONT);
    if (r >= 0)
        r = hf_process_list_add(&list, fixture->child.pid);
    if (r >= 0)
        r = hf_process_is_listed(fixture->child.pid, &list);
    if (r >= 0)
        r = hf_process_is_descendant(fixture->child.pid, NULL);
    if (r >= 0)
        r = hf_takeover_same_network(fixture->child.pid);
    hf_process_list_clear(&list);
    (void)hf_process_catches(fixture->child.pid, SIGTERM);
    (void)hf_process_runs_ours(fixture->child.pid);
    return r;
}

static int find_program(Fixture *fixture)
{
    return hf_process_find("sleep", "/usr/bin:bin", "/usr", &fixture->text);
}

static int visit_none(HfProcess *process, void *userdata)
{
    (void)process, (void)userdata;
    return 1;
}

static int visit(Fixture *fixture)
{
    const HfMembership member = {.session = fixture->child.pid, .cgroup = "/nowhere"};
    HfHeldSockets held = {0};
    size_t which;

    int r = hf_held_sockets_identify(&fixture->listener, 1, &held);
    if (r >= 0)
        r = hf_process_holds(fixture->child.pid, &held, &which);
    hf_held_sockets_clear(&held);
    return r < 0 ? r : hf_process_visit(hf_process_is_member, &member, visit_none, NULL);
}

static int check_kernel(Fixture *fixture)
{
    const char *call;

    (void)fixture;
    int r = hf_process_check_kernel(&call);
    return r == -ENOSYS ? 0 : r; /* of what valgrind does not know */
}

static void test_processes(void **state)
{
    FAIL_EACH(look_at_processes);
    FAIL_EACH(find_program);
    FAIL_FIRST(visit);
    FAIL_EACH(check_kernel);
}

static int spawn_one(Fixture *fixture)
{
    HfCredentials own = HF_CREDENTIALS_NONE;
    HfSpawn spawn = spawning("true", STRINGS("true"));
    HfSpawnStage stage;

    own.has_user = geteuid() == 0;
    own.has_group = own.has_user;
    own.uid = geteuid();
    own.gid = getegid();
    spawn.credentials = &own;
    spawn.directory = "/bin";
    spawn.session = spawn.listen_pid = true;
    spawn.fds = (const int[]){fixture->listener, fixture->beside};
    spawn.n_fds = 2;
    return hf_process_spawn(&spawn, &fixture->process, &stage);
}

static void do_nothing(int fd, void *userdata)
{
    (void)fd, (void)userdata;
}

static int call_one(Fixture *fixture)
{
    return hf_process_call(do_nothing, fixture->listener, NULL, &fixture->process);
}

static int raise_files(Fixture *fixture)
{
    (void)fixture;
    int r = hf_process_raise_files();
    return r < 0 ? r : hf_process_lower_files(4);
}

static void test_spawning(void **state)
{
    FAIL_EACH(raise_files);
    FAIL_EACH(spawn_one);
    FAIL_EACH(call_one);
}

/* ---- accounts and privileges ---- */

static int find_accounts(Fixture *fixture)
{
    HfAccount account = {0};
    gid_t gid;
    uid_t uid;

    (void)fixture;
    int r = hf_account_find("root", &account);
    hf_account_clear(&account);
    account = (HfAccount){0};
    if (r >= 0)
        r = hf_account_find("0", &account);
    hf_account_clear(&account);
    if (r >= 0)
        r = hf_account_user("root", &uid, &gid);
    return r < 0 ? r : hf_account_group("daemon", &gid);
}

static int set_credentials(Fixture *fixture)
{
    HfCredentials credentials = HF_CREDENTIALS_NONE;

    (void)fixture;
    int r = hf_credentials_set_user(&credentials, "daemon");
    (void)hf_credentials_are_own(&credentials);
    hf_credentials_clear(&credentials);
    return r;
}

static int ask_privileges(Fixture *fixture)
{
    uint64_t permitted;

    (void)hf_privilege_has(CAP_KILL);
    (void)hf_privilege_returns();
    (void)hf_privilege_is_open(fixture->path, R_OK | W_OK);
    (void)hf_privilege_first_port();
    return hf_privilege_permitted(&permitted);
}

static int resolve(Fixture *fixture)
{
    struct sockaddr_storage found[4];
    unsigned lengths[4];

    (void)fixture;
    return hf_resolve("127.0.0.1", 80, found, lengths, 4);
}

static void test_privileges(void **state)
{
    FAIL_EACH(find_accounts);
    FAIL_EACH(set_credentials);
    FAIL_EACH(ask_privileges);
    FAIL_EACH(resolve);
}

/* These change the process for good, so each failure is tried in a fork. */
static int give_up(const void *data)
{
    const Body *body = data;
    int r = (*body)(NULL);

    hf_failing_end();
    return r < -4095;
}

static int leave(Fixture *fixture)
{
    (void)fixture;
    return hf_privilege_leave(UINT64_C(1) << CAP_KILL);
}

static int keep(Fixture *fixture)
{
    (void)fixture;
    int r = hf_privilege_keep(UINT64_C(1) << CAP_KILL);
    return r;
}

static int narrow(Fixture *fixture)
{
    static gid_t groups[] = {1, 2};
    const HfCredentials other = {.has_user = true,
                                 .has_group = true,
                                 .uid = 1,
                                 .gid = 1,
                                 .groups = groups,
                                 .n_groups = 2,
                                 .no_new_privileges = true,
                                 .capabilities = 0};

    (void)fixture;
    int r = hf_credentials_narrow(&other);
    return r < 0 ? r : hf_credentials_enter(&other);
}

static void test_what_is_given_up(void **state)
{
    static const Body bodies[] = {leave, keep, narrow};

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
        for (size_t n = 0; n < 60; n++) {
            hf_failing_begin(n + 1, 0); /* after fork */
            in_fork(give_up, &bodies[i]);
            hf_failing_end();
        }
}

/* ---- sockets ---- */

static int bind_tcp(Fixture *fixture)
{
    static const int options[][3] = {{SOL_SOCKET, SO_KEEPALIVE, 1}};
    Address any = address_ip("127.0.0.1", 0);
    HfSocketRequest request = request_for(&any);
    HfSocketStage stage;
    HfSocketInode inode;

    request.interface = "lo";
    request.options = options;
    request.n_options = 1;
    int r = hf_socket_can_have(&request) ? 0 : -EADDRNOTAVAIL;
    return r < 0 ? r : hf_socket_bind(&request, &fixture->fd, &inode, &stage);
}

static int bind_path(Fixture *fixture)
{
    static const uid_t users[] = {1, 2};
    static const gid_t groups[] = {1};
    Address other = address_unix(beside(fixture, "other"));
    HfSocketRequest request = request_for(&other);
    HfSocketStage stage;
    HfSocketInode inode = {0};

    request.has_mode = true;
    request.mode = 0600;
    request.uid = geteuid();
    request.gid = getegid();
    int r = hf_socket_probe(&request, &stage);
    if (r >= 0)
        r = hf_socket_bind(&request, &fixture->fd, &inode, &stage);
    if (r >= 0) {
        request.acl_users = users;
        request.n_acl_users = 2;
        request.acl_groups = groups;
        request.n_acl_groups = 1;
        request.replace_acl = true;
        r = hf_socket_secure(&request, &inode, &stage);
    }
    if (r >= 0) {
        request.like = fixture->path;
        r = hf_socket_secure(&request, &inode, &stage);
    }
    if (r >= 0)
        r = hf_socket_unlink(beside(fixture, "other"), &inode);
    return r;
}

static int look_at_sockets(Fixture *fixture)
{
    struct sockaddr_storage address;
    socklen_t length;
    unsigned size;
    uint32_t drops;
    HfQueue queue;

    int r = hf_socket_verify(fixture->listener);
    if (r >= 0)
        r = hf_socket_type(fixture->listener);
    if (r >= 0)
        r = hf_listener_name(fixture->listener, &address, &size);
    if (r >= 0)
        r = hf_socket_set_backlog(fixture->listener, 8);
    if (r >= 0)
        r = hf_socket_reach(fixture->listener, &address, &length);
    if (r >= 0)
        r = hf_queue_read(fixture->listener, &queue);
    if (r >= 0)
        r = hf_queue_read(fixture->beside, &queue);
    if (r >= 0)
        r = hf_queue_drops(fixture->listener, &drops);
    if (r >= 0)
        r = hf_socket_path_is(fixture->path, &fixture->inode);
    (void)hf_socket_somaxconn();
    (void)hf_socket_path_same(fixture->path, fixture->path);
    return r;
}

static int find_owners(Fixture *fixture)
{
    HfOwner owner;

    int r = hf_owner_find(&fixture->unix_address.storage, fixture->unix_address.length, &owner);
    return r < 0 ? r : hf_owner_find(&fixture->address.storage, fixture->address.length, &owner);
}

static int find_conflicts(Fixture *fixture)
{
    ino_t inodes[4];

    int r = hf_conflict_find(&fixture->address.storage, fixture->address.length, inodes, 4);
    return r < 0 ? r
                 : hf_conflict_find(&fixture->unix_address.storage, fixture->unix_address.length,
                                    inodes, 4);
}

static int pair_tcp(Fixture *fixture)
{
    HfReach reach = {.address = fixture->address.storage, .length = fixture->address.length};
    bool current;
    unsigned index;

    int r =
        hf_steer_pair_tcp(fixture->listener, 0, hf_steer_count(fixture->listener, 1), &fixture->fd);
    if (r >= 0)
        r = hf_steer_tcp(fixture->listener, 0, 1);
    hf_steer_note(fixture->listener, true, 0);
    (void)hf_steer_noted(fixture->listener, &current, &index);
    hf_steer_claim(fixture->listener, true);
    (void)hf_steer_is_anothers(fixture->listener);
    hf_steer_claim(fixture->listener, false);
    hf_steer_reach(&reach);
    fixture->outcome = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return r < 0 || fixture->outcome < 0 ? r : hf_steer_bind(fixture->outcome, &reach);
}

static int pair_path(Fixture *fixture)
{
    char hidden[HF_LISTENER_PATH_MAX];
    HfSocketInode inode = {0};

    int r = hf_steer_name_hidden(fixture->path, 0, hidden);
    if (r >= 0)
        r = hf_steer_pair_path(fixture->beside, fixture->path, hidden, &fixture->fd, &inode);
    if (r >= 0)
        r = hf_steer_path(fixture->path, hidden, &inode);
    if (r >= 0)
        r = hf_steer_path(fixture->path, hidden, &fixture->inode);
    if (r >= 0)
        r = hf_steer_find_hidden(fixture->path, &inode, hidden);
    return r;
}

static int copy_sockets(Fixture *fixture)
{
    HfProcess self = {.pid = getpid(), .pidfd = pidfd_open(getpid(), 0)};

    int r = self.pidfd < 0 ? -ESRCH
                           : hf_takeover_copy(&self, &fixture->address.storage,
                                              fixture->address.length, &fixture->fd);
    hf_process_clear(&self);
    return r;
}

static void test_sockets(void **state)
{
    FAIL_EACH(bind_tcp);
    FAIL_EACH(bind_path);
    FAIL_EACH(look_at_sockets);
    FAIL_FIRST(find_owners);
    FAIL_EACH(find_conflicts);
    FAIL_EACH(copy_sockets);
    FAIL_EACH(pair_tcp);
    FAIL_EACH(pair_path);
}

/* ---- priorities and control groups ---- */

static int lower(Fixture *fixture)
{
    const HfMembership who = {.session = fixture->child.pid};
    HfPriority priority = {0};

    (void)hf_priority_lower(fixture->child.pid, &who, &priority);
    (void)hf_priority_lower_group(&priority);
    (void)hf_priority_restore(&priority);
    hf_priority_clear(&priority);
    hf_priority_adopt(fixture->child.pid, true, &who, &priority);
    (void)hf_priority_restore(&priority);
    hf_priority_clear(&priority);
    return 0;
}

static int group(Fixture *fixture)
{
    int r = hf_cgroup_holds("/", fixture->child.pid);

    (void)hf_cgroup_is_delegated(fixture->directory);
    hf_cgroup_await_empty(fixture->directory, 0);
    hf_cgroup_empty(fixture->directory, fixture->directory);
    (void)hf_cgroup_remove(beside(fixture, "group"));
    fixture->fd = hf_cgroup_make(beside(fixture, "group"));
    return r;
}

static void test_priorities_and_groups(void **state)
{
    FAIL_FIRST(lower);
    FAIL_EACH(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_locks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_datagrams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_spawning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_privileges, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_priorities_and_groups, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
