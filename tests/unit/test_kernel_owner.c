/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "kernel/owner.h"
#include "socket_helpers.h"

#define PROGRAM "test_kernel_owner"
#define TICK    UINT64_C(10000) /* usec: start times are whole ticks */

static int find(const Address *address, HfOwner *ret)
{
    return hf_owner_find(&address->storage, address->length, ret);
}

static void expect_me(const Address *address)
{
    HfOwner owner = {0};

    assert_int_equal(find(address, &owner), 0);
    assert_int_equal(owner.pid, getpid());
    assert_string_equal(owner.program, PROGRAM);
}

static void expect_nobody(const Address *address)
{
    HfOwner owner = {.pid = 77};

    assert_int_equal(find(address, &owner), -ENOENT);
    assert_int_equal(owner.pid, 77);
}

static uint64_t boottime(void)
{
    struct timespec now;

    assert_return_code(clock_gettime(CLOCK_BOOTTIME, &now), errno);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A child that holds what it inherits until it is asked to leave. */
typedef struct Child {
    pid_t pid;
    int leave;
} Child;

/* bind_to (NULL: nothing) is bound in the child before this returns. */
static Child start_child(const Address *bind_to)
{
    Child child;
    int leave[2];
    int ready[2];
    char byte;

    assert_return_code(pipe2(leave, O_CLOEXEC), errno);
    assert_return_code(pipe2(ready, O_CLOEXEC), errno);
    child.pid = fork();
    assert_return_code(child.pid, errno);
    if (child.pid == 0) {
        close(leave[1]);
        if (bind_to)
            (void)make_listener(bind_to, 1);
        close(ready[0]);
        close(ready[1]);
        _exit(read(leave[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(leave[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    child.leave = leave[1];
    return child;
}

static void end_child(const Child *child)
{
    int status;

    close(child->leave);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_int_equal(status, 0);
}

/* "No" means not this listener: another program may by chance have the same port elsewhere, and be
 * found before this one: then another port is tried. */
static void test_which_ip_addresses_conflict(void **state)
{
    const struct {
        const char *listens;
        bool v6only;
        const char *wanted;
        bool conflict;
    } table[] = {
        {"127.0.0.1", false, "127.0.0.1", true},
        {"127.0.0.1", false, "0.0.0.0", true},
        {"127.0.0.1", false, "::", true},
        {"127.0.0.1", false, "::ffff:127.0.0.1", true},
        {"127.0.0.1", false, "127.0.0.2", false},
        {"127.0.0.1", false, "::1", false},
        {"127.0.0.1", false, "::ffff:127.0.0.2", false},
        {"0.0.0.0", false, "127.0.0.1", true},
        {"0.0.0.0", false, "::", true},
        {"0.0.0.0", false, "::1", false},
        {"::", false, "127.0.0.1", true},
        {"::", false, "0.0.0.0", true},
        {"::", false, "::1", true},
        {"::", true, "::1", true},
        {"::", true, "::", true},
        {"::", true, "127.0.0.1", false},
        {"::", true, "0.0.0.0", false},
        {"::1", true, "::1", true},
        {"::1", true, "::", true},
        {"::1", true, "127.0.0.1", false},
        {"::ffff:127.0.0.1", false, "127.0.0.1", true},
        {"::ffff:127.0.0.1", false, "0.0.0.0", true},
        {"::ffff:127.0.0.1", false, "::1", false},
    };

    (void)state;
    for (size_t i = 0, strangers = 0; i < sizeof(table) / sizeof(*table); i++) {
        const Address listens = address_ip(table[i].listens, 0);
        const int v6only = table[i].v6only;
        HfOwner owner = {0};

        int fd = socket(listens.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_return_code(fd, errno);
        if (listens.storage.ss_family == AF_INET6)
            assert_return_code(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)),
                               errno);
        assert_return_code(bind(fd, (const struct sockaddr *)&listens.storage, listens.length),
                           errno);
        assert_return_code(listen(fd, 1), errno);

        const Address wanted = address_ip(table[i].wanted, port_of(fd));
        int r = find(&wanted, &owner);
        bool mine = r == 0 && owner.pid == getpid();
        if (r == 0 && !mine && strangers++ < 20)
            i--;
        else if (mine != table[i].conflict)
            fail_msg("%s%s and %s: %d", table[i].listens, v6only ? " (v6 only)" : "",
                     table[i].wanted, r);
        close(fd);
    }
}

static void test_addresses_conflict(void **state)
{
    static const struct {
        const char *a;
        bool a_v6only;
        const char *b;
        bool expected;
    } table[] = {
        {"0.0.0.0", false, "127.0.0.1", true},
        {"127.0.0.2", false, "127.0.0.1", false},
        {"::", false, "127.0.0.1", true},
        {"::", true, "127.0.0.1", false},
        {"::", true, "::1", true},
        {"::ffff:127.0.0.1", false, "127.0.0.1", true},
        {"::", true, "::ffff:127.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        Address a = address_ip(table[i].a, 80);
        Address b = address_ip(table[i].b, 80);
        Address other = address_ip(table[i].b, 81);
        bool v6only = table[i].a_v6only;
        assert_int_equal(hf_addresses_conflict(&a.storage, v6only, &b.storage, false),
                         table[i].expected);
        assert_int_equal(hf_addresses_conflict(&b.storage, false, &a.storage, v6only),
                         table[i].expected);
        assert_false(hf_addresses_conflict(&a.storage, v6only, &other.storage, false));
    }
}

/* In a network of its own: an address of the one interface is in nobody's way on another. */
static int find_in_scopes(void)
{
    static const unsigned expected[] = {1, 1, 0}; /* in scope 0, any; 1, lo; 2, another */
    Address address = address_ip("fe80::1", 0);
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;
    struct ifreq flags = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    const int yes = 1;
    ino_t inode;

    if (unshare(CLONE_NEWNET) < 0)
        return 0; /* without privilege there is nothing to be seen */
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* lo need not have the address, which it gets some time later */
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &flags) < 0 ||
        setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &yes, sizeof(yes)) < 0)
        return 90;
    in6->sin6_scope_id = 1;
    if (bind(fd, (struct sockaddr *)&address.storage, address.length) < 0 || listen(fd, 1) < 0)
        return 91;
    in6->sin6_port = htons(port_of(fd));
    for (uint32_t scope = 0; scope < 3; scope++) {
        in6->sin6_scope_id = scope;
        if (hf_conflict_find(&address.storage, address.length, &inode, 1) != (int)expected[scope])
            return 92 + (int)scope;
    }
    return 0;
}

static void test_scopes(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(find_in_scopes());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Says to whoever asks the kernel that there is nothing, before the kernel answers. */
static bool lied;
static bool lie;

static void answer_for_the_kernel(int fd)
{
    const struct nlmsghdr done = {.nlmsg_len = NLMSG_LENGTH(sizeof(int)), .nlmsg_type = NLMSG_DONE};
    char message[NLMSG_SPACE(sizeof(int))] = {0};
    struct sockaddr_nl asker = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof(asker);

    memcpy(message, &done, sizeof(done));
    int liar = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    lied = bind(fd, (struct sockaddr *)&asker, length) == 0 &&
           getsockname(fd, (struct sockaddr *)&asker, &length) == 0 &&
           bind(liar, (struct sockaddr *)&(struct sockaddr_nl){.nl_family = AF_NETLINK}, length) ==
               0 &&
           syscall(SYS_sendto, liar, message, sizeof(message), 0, &asker, length) > 0;
    close(liar);
}

ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG addr,
               socklen_t addr_len)
{
    if (lie)
        answer_for_the_kernel(fd);
    lie = false;
    return syscall(SYS_sendto, fd, buf, n, flags, addr.__sockaddr__, addr_len);
}

static void test_only_the_kernel_is_believed(void **state)
{
    Address any = address_ip("127.0.0.1", 0);
    int fd = make_listener(&any, 1);
    Address address = address_of(fd);
    ino_t inode;

    (void)state;
    lie = true;
    int n = hf_conflict_find(&address.storage, address.length, &inode, 1);
    close(fd);
    if (!lied)
        skip(); /* that takes CAP_NET_ADMIN */
    assert_int_equal(n, 1);
}

static void test_oldest_holder(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);
    HfOwner me;
    HfOwner other;

    (void)state;
    int fd = make_listener(&any, 1);
    const Address address = address_of(fd);
    uint64_t before = boottime();
    const Child child = start_child(NULL);

    assert_int_equal(find(&address, &me), 0);
    assert_int_equal(me.pid, getpid());
    close(fd);
    assert_int_equal(find(&address, &other), 0);
    assert_int_equal(other.pid, child.pid);
    assert_string_equal(other.program, PROGRAM);
    assert_in_range(other.age, 0, boottime() - before + TICK);
    assert_in_range(me.age, 0, boottime());
    end_child(&child);
    /* the port may be another program's by now */
    if (find(&address, &other) == 0) {
        assert_int_not_equal(other.pid, getpid());
        assert_int_not_equal(other.pid, child.pid);
    }
}

/* A server that drains: its listener is closed, its connections are not. */
static void expect_connections_to_count_for_nothing(const Address *listens)
{
    HfOwner owner = {0};

    int listener = make_listener(listens, 1);
    const Address address = address_of(listener);
    int client = try_connect(&address);
    assert_return_code(client, -client);
    int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_return_code(accepted, errno);
    expect_me(&address);
    close(listener);
    if (find(&address, &owner) == 0)
        assert_int_not_equal(owner.pid, getpid());
    close(accepted);
    close(client);
}

static void test_connections_do_not_listen(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);
    char path[108];

    snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    const Address local = address_unix(path);
    expect_connections_to_count_for_nothing(&any);
    expect_connections_to_count_for_nothing(&local);
    assert_return_code(unlink(path), errno);
}

static void test_unix_path(void **state)
{
    char path[108];

    snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    const Address address = address_unix(path);
    expect_nobody(&address);
    int fd = make_listener(&address, 1);
    expect_me(&address);
    close(fd);
    expect_nobody(&address);
    assert_return_code(unlink(path), errno);
}

static void test_relative_path(void **state)
{
    char directory[PATH_MAX];
    char path[108];

    snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    assert_non_null(getcwd(directory, sizeof(directory)));
    assert_return_code(chdir(*state), errno);
    const Address relative = address_unix("s");
    int fd = make_listener(&relative, 1);
    assert_return_code(chdir(directory), errno);

    const Address address = address_unix(path);
    expect_me(&address);
    close(fd);
    assert_return_code(unlink(path), errno);
}

/* The older process still has the socket that once had the path; the child has the one there now.
 */
static void test_path_bound_again(void **state)
{
    char path[108];
    HfOwner owner;

    snprintf(path, sizeof(path), "%s/s", (const char *)*state);
    const Address address = address_unix(path);
    int fd = make_listener(&address, 1);
    assert_return_code(unlink(path), errno);
    expect_nobody(&address);

    const Child child = start_child(&address);
    assert_int_equal(find(&address, &owner), 0);
    assert_int_equal(owner.pid, child.pid);
    end_child(&child);
    close(fd);
    assert_return_code(unlink(path), errno);
}

static void test_abstract_name(void **state)
{
    char name[100];
    char longer[108];

    (void)state;
    snprintf(name, sizeof(name), "@holdfast-test-owner-%d", (int)getpid());
    snprintf(longer, sizeof(longer), "%s0", name);
    const Address address = address_unix(name);
    const Address other = address_unix(longer);
    int fd = make_listener(&address, 1);
    expect_me(&address);
    expect_nobody(&other);
    close(fd);
    expect_nobody(&address);
}

/* /proc/PID/exe says "/memfd:we<TAB>ird (deleted)". */
static void test_program_name_is_printable(void **state)
{
    const Address any = address_ip("127.0.0.1", 0);
    HfOwner owner = {0};
    int leave[2];
    int ready[2];
    int status;
    char byte;

    (void)state;
    int program = memfd_create("we\tird", MFD_CLOEXEC);
    int cat = open("/bin/cat", O_RDONLY | O_CLOEXEC);
    assert_return_code(program, errno);
    assert_return_code(cat, errno);
    ssize_t n;
    do {
        n = sendfile(program, cat, NULL, 1 << 20);
        assert_return_code(n, errno);
    } while (n > 0);
    close(cat);

    int listener = make_listener(&any, 1);
    const Address address = address_of(listener);
    assert_return_code(pipe2(leave, O_CLOEXEC), errno);
    assert_return_code(pipe2(ready, O_CLOEXEC), errno);
    pid_t pid = fork();
    assert_return_code(pid, errno);
    if (pid == 0) {
        static char name[] = "cat";
        char *const argv[] = {name, NULL};
        char *const envp[] = {NULL};
        if (dup2(leave[0], STDIN_FILENO) >= 0 && fcntl(listener, F_SETFD, 0) >= 0)
            fexecve(program, argv, envp);
        _exit(127);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    close(listener);
    close(leave[0]);

    assert_int_equal(find(&address, &owner), 0);
    assert_int_equal(owner.pid, pid);
    assert_string_equal(owner.program, "memfd:we?ird");
    close(leave[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(program);
}

static void test_strange_addresses(void **state)
{
    HfOwner owner = {.pid = 77};
    Address address = {.storage.ss_family = AF_UNIX,
                       .length = offsetof(struct sockaddr_un, sun_path)};

    (void)state;
    assert_int_equal(find(&address, &owner), -EAFNOSUPPORT);
    address.length = sizeof(address.storage);
    assert_int_equal(find(&address, &owner), -EAFNOSUPPORT);
    address.storage.ss_family = AF_NETLINK;
    assert_int_equal(find(&address, &owner), -EAFNOSUPPORT);
    assert_int_equal(owner.pid, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_ip_addresses_conflict),
        cmocka_unit_test(test_addresses_conflict),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_only_the_kernel_is_believed),
        cmocka_unit_test(test_oldest_holder),
        cmocka_unit_test_setup_teardown(test_connections_do_not_listen, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(test_unix_path, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_relative_path, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_path_bound_again, make_directory, remove_directory),
        cmocka_unit_test(test_abstract_name),
        cmocka_unit_test(test_program_name_is_printable),
        cmocka_unit_test(test_strange_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
