/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "kernel/notify_socket.h"

#define MAX_PASSED 253 /* SCM_MAX_FD */

static char directory[] = "/tmp/holdfast-test-XXXXXX";
static char path[64];

static int make_directory(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/notify", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);

    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address,
                             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    return fd;
}

static void send_with_fds(int socket, const char *text, size_t length, const int *fds, size_t n)
{
    char control[CMSG_SPACE(sizeof(int) * MAX_PASSED)] = {0};
    struct iovec vector = {.iov_base = (char *)(uintptr_t)text, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = CMSG_SPACE(sizeof(int) * n),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    if (!header || n > MAX_PASSED)
        abort();
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * n);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * n);
    assert_int_equal(sendmsg(socket, &message, 0), length);
}

static void expect_error(int fd, int error)
{
    char buffer[16];
    pid_t pid = 4242;
    uid_t uid = 4243;

    assert_int_equal(hf_notifysocket_receive(fd, buffer, sizeof(buffer), &pid, &uid), error);
    assert_int_equal(pid, 4242);
    assert_int_equal(uid, 4243);
}

static void expect_message(int fd, const char *text, pid_t expected_pid, uid_t expected_uid)
{
    char buffer[16];
    pid_t pid = 4242;
    uid_t uid = 4243;

    assert_int_equal(hf_notifysocket_receive(fd, buffer, sizeof(buffer), &pid, &uid), strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
    assert_int_equal(pid, expected_pid);
    assert_int_equal(uid, expected_uid);
}

static void test_path_and_abstract_name(void **state)
{
    const char *const names[] = {path, "@holdfast/test-notify"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        HF_CLEANUP_FD int fd = hf_notifysocket_open(names[i]);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        expect_error(fd, -EAGAIN);

        HF_CLEANUP_FD int sender = connect_to(names[i]);
        assert_int_equal(send(sender, "READY=1", 7, 0), 7);
        assert_int_equal(send(sender, "", 0, 0), 0);
        expect_message(fd, "READY=1", getpid(), getuid());
        expect_message(fd, "", getpid(), getuid());
        expect_error(fd, -EAGAIN);
    }
    assert_int_equal(unlink(path), 0);
}

static void test_everybody_may_send(void **state)
{
    struct stat made;
    mode_t mask = umask(0777);
    HF_CLEANUP_FD int fd = hf_notifysocket_open(path);

    (void)state;
    umask(mask);
    assert_true(fd >= 0);
    assert_int_equal(lstat(path, &made), 0);
    assert_true(S_ISSOCK(made.st_mode));
    assert_int_equal(made.st_mode & 07777, 0666);
    assert_int_equal(unlink(path), 0);
}

typedef struct Sender {
    int socket;
    int pid_to;
} Sender;

static int send_as_nobody(const void *data)
{
    const Sender *sender = data;
    pid_t pid = getpid();

    drop_privileges();
    if (write(sender->pid_to, &pid, sizeof(pid)) != sizeof(pid))
        return 90;
    return send(sender->socket, "hello", 5, 0) == 5 ? 0 : 91;
}

static void test_credentials_are_the_senders(void **state)
{
    HF_CLEANUP_FD int fd = hf_notifysocket_open(path);
    int ends[2];
    pid_t pid;

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    Sender sender = {connect_to(path), ends[1]};
    in_fork(send_as_nobody, &sender);
    assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
    assert_int_not_equal(pid, getpid());
    expect_message(fd, "hello", pid, geteuid() == 0 ? 65534 : getuid());
    close(sender.socket);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(unlink(path), 0);
}

static int receive_in_pid_namespace(const void *data)
{
    char buffer[16];
    pid_t pid;
    uid_t uid;
    int status;

    if (unshare(CLONE_NEWPID | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0)
        return 90;
    pid_t child = fork();
    if (child == 0) {
        ssize_t r = hf_notifysocket_receive(*(const int *)data, buffer, sizeof(buffer), &pid, &uid);
        _exit(r == -EPROTO ? 0 : 91);
    }
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 92;
}

static void test_a_sender_without_a_pid_here(void **state)
{
    HF_CLEANUP_FD int fd = hf_notifysocket_open(path);
    HF_CLEANUP_FD int sender = connect_to(path);

    (void)state;
    assert_int_equal(send(sender, "READY=1", 7, 0), 7);
    assert_int_equal(send(sender, "next", 4, 0), 4);
    in_fork(receive_in_pid_namespace, &fd);
    expect_message(fd, "next", getpid(), getuid());
    assert_int_equal(unlink(path), 0);
}

static void test_too_long_is_dropped(void **state)
{
    HF_CLEANUP_FD int fd = hf_notifysocket_open(path);
    HF_CLEANUP_FD int sender = connect_to(path);
    char buffer[17];

    (void)state;
    memset(buffer, 'x', sizeof(buffer));
    assert_int_equal(send(sender, buffer, 17, 0), 17);
    assert_int_equal(send(sender, "0123456789abcdef", 16, 0), 16);
    expect_error(fd, -EMSGSIZE);
    expect_message(fd, "0123456789abcdef", getpid(), getuid());
    expect_error(fd, -EAGAIN);
    assert_int_equal(unlink(path), 0);
}

static void test_descriptors_are_closed(void **state)
{
    static const size_t amounts[] = {1, 2, 7, MAX_PASSED};
    HF_CLEANUP_FD int fd = hf_notifysocket_open(path);
    HF_CLEANUP_FD int sender = connect_to(path);

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(amounts) / sizeof(*amounts); i++) {
        bool too_long = i % 2;
        int ends[2];
        int fds[MAX_PASSED];
        char byte;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        for (size_t j = 0; j < MAX_PASSED; j++)
            fds[j] = ends[1];
        send_with_fds(sender, "0123456789abcdefg", too_long ? 17 : 4, fds, amounts[i / 2]);
        close(ends[1]);

        size_t open_before = count_fds();
        if (too_long)
            expect_error(fd, -EMSGSIZE);
        else
            expect_message(fd, "0123", getpid(), getuid());
        assert_int_equal(count_fds(), open_before);
        assert_int_equal(read(ends[0], &byte, 1), 0);
        close(ends[0]);
    }
    assert_int_equal(unlink(path), 0);
}

static void test_old_socket_is_replaced(void **state)
{
    HF_CLEANUP_FD int old = hf_notifysocket_open(path);
    HF_CLEANUP_FD int fd = hf_notifysocket_open(path);

    (void)state;
    assert_true(old >= 0 && fd >= 0);
    HF_CLEANUP_FD int sender = connect_to(path);
    assert_int_equal(send(sender, "x", 1, 0), 1);
    expect_error(old, -EAGAIN);
    expect_message(fd, "x", getpid(), getuid());
    assert_int_equal(unlink(path), 0);
}

static void test_nothing_else_is_replaced(void **state)
{
    struct stat before;
    struct stat after;
    size_t open_before = count_fds();

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0)
            close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        else if (kind == 1)
            assert_int_equal(symlink("/nonexistent", path), 0);
        else
            assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(lstat(path, &before), 0);
        assert_int_equal(hf_notifysocket_open(path), -ENOTSOCK);
        assert_int_equal(lstat(path, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        assert_int_equal(before.st_mode, after.st_mode);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(count_fds(), open_before);
}

static void test_names(void **state)
{
    char name[128];
    size_t limit = sizeof(((struct sockaddr_un *)NULL)->sun_path);

    (void)state;
    assert_int_equal(hf_notifysocket_open(""), -EINVAL);
    assert_int_equal(hf_notifysocket_open("@"), -EINVAL);
    assert_int_equal(hf_notifysocket_open("/nonexistent/notify"), -ENOENT);

    memset(name, 'x', sizeof(name));
    name[0] = '@';
    name[limit] = '\0';
    HF_CLEANUP_FD int fd = hf_notifysocket_open(name);
    assert_true(fd >= 0);
    close(connect_to(name));
    assert_int_equal(hf_notifysocket_open(name), -EADDRINUSE);
    name[limit] = 'x';
    name[limit + 1] = '\0';
    assert_int_equal(hf_notifysocket_open(name), -ENAMETOOLONG);

    memset(name, 'x', sizeof(name));
    memcpy(name, directory, strlen(directory));
    name[strlen(directory)] = '/';
    name[limit] = '\0';
    assert_int_equal(hf_notifysocket_open(name), -ENAMETOOLONG);
    name[limit - 1] = '\0';
    HF_CLEANUP_FD int longest = hf_notifysocket_open(name);
    assert_true(longest >= 0);
    assert_int_equal(unlink(name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_and_abstract_name),
        cmocka_unit_test(test_everybody_may_send),
        cmocka_unit_test(test_credentials_are_the_senders),
        cmocka_unit_test(test_a_sender_without_a_pid_here),
        cmocka_unit_test(test_too_long_is_dropped),
        cmocka_unit_test(test_descriptors_are_closed),
        cmocka_unit_test(test_old_socket_is_replaced),
        cmocka_unit_test(test_nothing_else_is_replaced),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
