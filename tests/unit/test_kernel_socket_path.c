/* SPDX-License-Identifier: MIT */
#include <acl/libacl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/acl.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "kernel/sock_diag.h"
#include "kernel/socket.h"
#include "socket_helpers.h"

#define UNTOUCHED 4242
#define STRANGER  54321 /* a user and group id that is nobody's here */

typedef struct Place {
    char path[108];
    Address address;
    HfSocketRequest request;
} Place;

static void place_at(Place *place, void *const *state)
{
    snprintf(place->path, sizeof(place->path), "%s/s", (const char *)*state);
    place->address = address_unix(place->path);
    place->request = request_for(&place->address);
}

static struct stat look(const char *path)
{
    struct stat st;

    assert_return_code(lstat(path, &st), errno);
    return st;
}

static int bind_request(const HfSocketRequest *request, int *ret_fd, HfSocketInode *ret_inode)
{
    HfSocketStage stage = HF_LISTENER_LISTEN;

    int r = hf_socket_bind(request, ret_fd, ret_inode, &stage);
    if (r < 0)
        print_message("bind: %s at stage %d\n", strerror(-r), (int)stage);
    return r;
}

static void expect_refusal(const HfSocketRequest *request, int error, HfSocketStage expected)
{
    HfSocketInode inode = {.device = UNTOUCHED, .inode = UNTOUCHED};
    HfSocketStage stage = (HfSocketStage)-1;
    int fd = UNTOUCHED;

    assert_int_equal(hf_socket_bind(request, &fd, &inode, &stage), error);
    assert_int_equal(stage, expected);
    assert_int_equal(fd, UNTOUCHED);
    assert_int_equal(inode.device, UNTOUCHED);
    assert_int_equal(inode.inode, UNTOUCHED);
}

/* The refusal leaves exactly what was there. */
static void expect_refusal_untouched(const Place *place, int error, HfSocketStage expected)
{
    struct stat before = look(place->path);

    expect_refusal(&place->request, error, expected);
    struct stat after = look(place->path);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(after.st_size, before.st_size);
}

static void expect_gone(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), -1);
    assert_int_equal(errno, ENOENT);
}

/* Root may do everything: as somebody else for a while. */
static void become_stranger(const char *directory)
{
    if (geteuid() != 0)
        return;
    assert_return_code(chown(directory, STRANGER, STRANGER), errno);
    assert_return_code(setegid(STRANGER), errno);
    assert_return_code(seteuid(STRANGER), errno);
}

static void become_oneself(void)
{
    if (getuid() != 0)
        return;
    assert_return_code(seteuid(0), errno);
    assert_return_code(setegid(getgid()), errno);
}

static void test_bind_and_unlink(void **state)
{
    HfSocketInode inode = {0};
    HfQueue queue;
    Place place;
    int fd = -1;

    place_at(&place, state);
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    assert_int_equal(inode.inode, look(place.path).st_ino);
    assert_int_equal(inode.device, look(place.path).st_dev);
    assert_int_equal(hf_socket_verify(fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    int client = try_connect(&place.address);
    assert_return_code(client, -client);
    close(client);

    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.limit, 16);
    assert_int_equal(hf_socket_set_backlog(fd, 7), 0);
    assert_int_equal(hf_queue_read(fd, &queue), 0);
    assert_int_equal(queue.limit, 7);

    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    expect_gone(place.path);
    assert_int_equal(hf_socket_unlink(place.path, &inode), -ENOENT);
    close(fd);
}

static void test_unlink_of_another(void **state)
{
    const HfSocketInode none = {0};
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    assert_int_equal(hf_socket_unlink(place.path, &none), -ESTALE);

    assert_return_code(unlink(place.path), errno);
    int other = make_listener(&place.address, 1);
    assert_int_equal(hf_socket_unlink(place.path, &inode), -ESTALE);
    look(place.path);
    close(other);

    assert_return_code(unlink(place.path), errno);
    assert_return_code(symlink("nowhere", place.path), errno);
    assert_int_equal(hf_socket_unlink(place.path, &inode), -ESTALE);
    look(place.path);
    close(fd);
    assert_return_code(unlink(place.path), errno);
}

/* The inode's number may go to another file once nobody has the socket any more. */
static void test_unlink_of_a_file_with_the_same_inode(void **state)
{
    Place place;

    place_at(&place, state);
    int file = open(place.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_return_code(file, errno);
    close(file);
    struct stat st = look(place.path);
    const HfSocketInode inode = {.device = st.st_dev, .inode = st.st_ino};
    assert_int_equal(hf_socket_unlink(place.path, &inode), -ESTALE);
    assert_return_code(unlink(place.path), errno);
}

static void test_longest_path(void **state)
{
    HfSocketInode inode;
    Place place;
    int fd = -1;

    for (size_t length = sizeof(place.path) - 1; length <= sizeof(place.path); length++) {
        char path[sizeof(place.path) + 1] = "";

        snprintf(path, sizeof(path), "%s/", (const char *)*state);
        memset(path + strlen(path), 'x', length - strlen(path));
        path[length] = '\0';
        const Address address = address_unix(path);
        const HfSocketRequest request = request_for(&address);
        assert_int_equal(bind_request(&request, &fd, &inode), 0);
        look(path);
        close(fd);
        assert_int_equal(bind_request(&request, &fd, &inode), 0);
        assert_int_equal(hf_socket_unlink(path, &inode), 0);
        close(fd);
    }
}

static void test_dead_socket_is_replaced(void **state)
{
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    close(make_listener(&place.address, 1));
    assert_int_equal(try_connect(&place.address), -ECONNREFUSED);
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    int client = try_connect(&place.address);
    assert_return_code(client, -client);
    close(client);
    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    close(fd);
}

/* A connection that outlives its listener has the listener's name. */
static void test_dead_socket_with_a_living_connection_is_replaced(void **state)
{
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    int listener = make_listener(&place.address, 1);
    int client = try_connect(&place.address);
    assert_return_code(client, -client);
    int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_return_code(accepted, errno);
    close(listener);
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    close(fd);
    close(accepted);
    close(client);
}

static void test_listener_is_left_alone(void **state)
{
    Place place;

    place_at(&place, state);
    int listener = make_listener(&place.address, 1);
    expect_refusal_untouched(&place, -EADDRINUSE, HF_LISTENER_BIND);
    int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_return_code(accepted, errno);
    close(accepted);

    int client = try_connect(&place.address);
    assert_return_code(client, -client);
    close(client);
    close(listener);
    assert_return_code(unlink(place.path), errno);
}

static void test_full_listener_is_left_alone(void **state)
{
    Place place;

    place_at(&place, state);
    int listener = make_listener(&place.address, 0);
    int client = try_connect(&place.address);
    assert_return_code(client, -client);
    assert_int_equal(try_connect(&place.address), -EAGAIN);
    expect_refusal_untouched(&place, -EADDRINUSE, HF_LISTENER_BIND);
    close(client);
    close(listener);
    assert_return_code(unlink(place.path), errno);
}

/* Even a dead socket: connect does not get as far as to tell. */
static void test_forbidden_socket_is_left_alone(void **state)
{
    Place place;

    place_at(&place, state);
    become_stranger(*state);
    close(make_listener(&place.address, 1));
    assert_return_code(chmod(place.path, 0), errno);
    expect_refusal_untouched(&place, -EADDRINUSE, HF_LISTENER_BIND);
    become_oneself();
    assert_return_code(unlink(place.path), errno);
}

static void test_socket_before_listen_is_left_alone(void **state)
{
    Place place;

    place_at(&place, state);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    assert_return_code(
        bind(fd, (const struct sockaddr *)&place.address.storage, place.address.length), errno);
    assert_int_equal(try_connect(&place.address), -ECONNREFUSED);
    expect_refusal_untouched(&place, -EADDRINUSE, HF_LISTENER_BIND);
    close(fd);
    assert_return_code(unlink(place.path), errno);
}

static void test_datagram_socket_is_left_alone(void **state)
{
    Place place;

    place_at(&place, state);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_return_code(fd, errno);
    assert_return_code(
        bind(fd, (const struct sockaddr *)&place.address.storage, place.address.length), errno);
    expect_refusal_untouched(&place, -EADDRINUSE, HF_LISTENER_BIND);
    close(fd);
    assert_return_code(unlink(place.path), errno);
}

static void test_file_is_left_alone(void **state)
{
    char content[16] = "";
    Place place;

    place_at(&place, state);
    int file = open(place.path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    assert_return_code(file, errno);
    assert_int_equal(write(file, "precious", 8), 8);
    expect_refusal_untouched(&place, -ENOTSOCK, HF_LISTENER_PATH);
    assert_int_equal(pread(file, content, sizeof(content), 0), 8);
    assert_string_equal(content, "precious");
    close(file);
    assert_return_code(unlink(place.path), errno);
}

static void test_other_things_are_left_alone(void **state)
{
    char target[128];
    Place place;

    place_at(&place, state);
    assert_return_code(mkfifo(place.path, 0600), errno);
    expect_refusal_untouched(&place, -ENOTSOCK, HF_LISTENER_PATH);
    assert_return_code(unlink(place.path), errno);

    assert_return_code(mkdir(place.path, 0700), errno);
    expect_refusal_untouched(&place, -ENOTSOCK, HF_LISTENER_PATH);
    assert_return_code(rmdir(place.path), errno);

    assert_return_code(symlink("nowhere", place.path), errno);
    expect_refusal_untouched(&place, -ENOTSOCK, HF_LISTENER_PATH);
    assert_return_code(unlink(place.path), errno);

    snprintf(target, sizeof(target), "%s/target", (const char *)*state);
    const Address address = address_unix(target);
    close(make_listener(&address, 1));
    assert_return_code(symlink("target", place.path), errno);
    expect_refusal_untouched(&place, -ENOTSOCK, HF_LISTENER_PATH);
    look(target);
    assert_return_code(unlink(place.path), errno);
    assert_return_code(unlink(target), errno);
}

static void test_directory_is_missing(void **state)
{
    char path[108];

    snprintf(path, sizeof(path), "%s/missing/s", (const char *)*state);
    const Address address = address_unix(path);
    const HfSocketRequest request = request_for(&address);
    expect_refusal(&request, -ENOENT, HF_LISTENER_BIND);
}

static void test_directory_may_not_be_written(void **state)
{
    Place place;

    place_at(&place, state);
    become_stranger(*state);
    assert_return_code(chmod(*state, 0500), errno);
    expect_refusal(&place.request, -EACCES, HF_LISTENER_BIND);

    assert_return_code(chmod(*state, 0700), errno);
    close(make_listener(&place.address, 1));
    assert_return_code(chmod(*state, 0500), errno);
    expect_refusal_untouched(&place, -EACCES, HF_LISTENER_PATH);
    become_oneself();
    assert_return_code(chmod(*state, 0700), errno);
    assert_return_code(unlink(place.path), errno);
}

static void test_mode_whatever_the_umask(void **state)
{
    const struct {
        mode_t umask;
        bool has_mode;
        mode_t mode;
        mode_t expected;
    } table[] = {
        {0, true, 0660, 0660},    {0777, true, 0666, 0666}, {0022, true, 0, 0},
        {0077, true, 0777, 0777}, {0027, false, 0, 0750},   {0, true, S_IFREG | 0600, 0600},
    };
    Place place;

    place_at(&place, state);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        HfSocketInode inode;
        int fd = -1;

        place.request.has_mode = table[i].has_mode;
        place.request.mode = table[i].mode;
        mode_t saved = umask(table[i].umask);
        int r = bind_request(&place.request, &fd, &inode);
        assert_int_equal(umask(saved), table[i].umask);
        assert_int_equal(r, 0);
        assert_int_equal(look(place.path).st_mode, S_IFSOCK | table[i].expected);
        assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
        close(fd);
    }
}

static void test_owner(void **state)
{
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    place.request.has_mode = true;
    place.request.mode = 0640;
    place.request.uid = STRANGER;
    place.request.gid = STRANGER + 1;
    if (geteuid() == 0) {
        assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
        struct stat st = look(place.path);
        assert_int_equal(st.st_uid, STRANGER);
        assert_int_equal(st.st_gid, STRANGER + 1);
        assert_int_equal(st.st_mode, S_IFSOCK | 0640);
        assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
        close(fd);
    } else {
        expect_refusal(&place.request, -EPERM, HF_LISTENER_OWNER);
        expect_gone(place.path);
    }
}

static void test_owner_without_privilege(void **state)
{
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    become_stranger(*state);
    place.request.uid = 1;
    expect_refusal(&place.request, -EPERM, HF_LISTENER_OWNER);
    expect_gone(place.path);
    place.request.uid = (uid_t)-1;
    place.request.gid = 1;
    expect_refusal(&place.request, -EPERM, HF_LISTENER_OWNER);
    expect_gone(place.path);

    place.request.uid = geteuid();
    place.request.gid = getegid();
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    assert_int_equal(look(place.path).st_uid, geteuid());
    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    become_oneself();
    close(fd);
}

static void expect_probe(const Address *address, int error, HfSocketStage expected)
{
    const HfSocketRequest request = request_for(address);
    HfSocketStage stage = (HfSocketStage)-1;

    assert_int_equal(hf_socket_probe(&request, &stage), error);
    assert_int_equal(stage, error < 0 ? expected : (HfSocketStage)-1);
}

static void test_same_path(void **state)
{
    char *names[] = {NULL, NULL, NULL, NULL};
    const char *directory = *state;

    assert_true(asprintf(&names[0], "%s/real", directory) > 0);
    assert_true(asprintf(&names[1], "%s/link", directory) > 0);
    assert_true(asprintf(&names[2], "%s/real/x.sock", directory) > 0);
    assert_true(asprintf(&names[3], "%s/link/x.sock", directory) > 0);
    assert_return_code(mkdir(names[0], 0700), errno);
    assert_return_code(symlink("real", names[1]), errno);
    assert_true(hf_socket_path_same(names[2], names[2]));
    assert_true(hf_socket_path_same(names[2], names[3]));
    assert_true(hf_socket_path_same("/x.sock", "//x.sock"));
    assert_false(hf_socket_path_same(names[2], "/x.sock"));
    assert_false(hf_socket_path_same(names[2], names[1]));
    assert_false(hf_socket_path_same("/none/x.sock", "/none/./x.sock"));
    assert_false(hf_socket_path_same("x", "/x"));
    assert_return_code(unlink(names[1]), errno);
    assert_return_code(rmdir(names[0]), errno);
    for (size_t i = 0; i < 4; i++)
        free(names[i]);
}

static void test_probe(void **state)
{
    char directory[PATH_MAX];
    char missing[108];
    Place place;

    place_at(&place, state);
    snprintf(missing, sizeof(missing), "%s/missing/s", (const char *)*state);
    const Address nowhere = address_unix(missing);
    const Address relative = address_unix("s");
    const Address ip = address_ip("127.0.0.1", 0);
    expect_probe(&nowhere, -ENOENT, HF_LISTENER_BIND);
    expect_probe(&ip, 0, HF_LISTENER_BIND);
    expect_probe(&place.address, 0, HF_LISTENER_BIND);
    expect_gone(place.path);
    assert_non_null(getcwd(directory, sizeof(directory)));
    assert_return_code(chdir(*state), errno);
    expect_probe(&relative, 0, HF_LISTENER_BIND);
    assert_return_code(chdir(directory), errno);

    int listener = make_listener(&place.address, 1);
    struct stat before = look(place.path);
    expect_probe(&place.address, -EADDRINUSE, HF_LISTENER_BIND);
    close(listener);
    expect_probe(&place.address, 0, HF_LISTENER_BIND);
    assert_int_equal(look(place.path).st_ino, before.st_ino);
    assert_return_code(unlink(place.path), errno);

    assert_return_code(mkfifo(place.path, 0600), errno);
    expect_probe(&place.address, -ENOTSOCK, HF_LISTENER_PATH);
    assert_return_code(unlink(place.path), errno);

    become_stranger(*state);
    assert_return_code(chmod(*state, 0500), errno);
    expect_probe(&place.address, -EACCES, HF_LISTENER_BIND);
    become_oneself();
}

static bool has_acls(const char *directory)
{
    acl_t acl = acl_get_file(directory, ACL_TYPE_ACCESS);

    if (acl)
        acl_free(acl);
    return acl != NULL;
}

static void expect_acl(const char *path, const char *expected)
{
    acl_t acl = acl_get_file(path, ACL_TYPE_ACCESS);

    assert_non_null(acl);
    char *text = acl_to_any_text(acl, NULL, ',', TEXT_ABBREVIATE | TEXT_NUMERIC_IDS);
    assert_non_null(text);
    assert_string_equal(text, expected);
    acl_free(text);
    acl_free(acl);
}

static void test_acl(void **state)
{
    const uid_t users[] = {STRANGER, STRANGER + 1, STRANGER};
    const gid_t groups[] = {STRANGER + 2};
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    place.request.has_mode = true;
    place.request.mode = 0600;
    place.request.uid = STRANGER; /* ignored */
    place.request.gid = STRANGER;
    place.request.acl_users = users;
    place.request.n_acl_users = 3;
    place.request.acl_groups = groups;
    place.request.n_acl_groups = 1;
    if (!has_acls(*state)) {
        expect_refusal(&place.request, -EOPNOTSUPP, HF_LISTENER_ACL);
        expect_gone(place.path);
        return;
    }
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    assert_int_equal(look(place.path).st_uid, geteuid());
    assert_int_equal(look(place.path).st_gid, getegid());
    expect_acl(place.path, "u::rw-,u:54321:rw-,u:54322:rw-,g::---,g:54323:rw-,m::rw-,o::---");
    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    close(fd);

    place.request.mode = 0664;
    place.request.n_acl_users = 0;
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    expect_acl(place.path, "u::rw-,g::rw-,g:54323:rw-,m::rw-,o::r--");
    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    close(fd);
}

static void test_acl_beside_the_directory_s_default(void **state)
{
    const uid_t users[] = {STRANGER};
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    place.request.acl_users = users;
    place.request.n_acl_users = 1;
    if (!has_acls(*state)) {
        expect_refusal(&place.request, -EOPNOTSUPP, HF_LISTENER_ACL);
        return;
    }
    acl_t acl = acl_from_text("u::rwx,u:54321:--x,u:54330:r--,g::---,m::rwx,o::---");
    assert_non_null(acl);
    assert_return_code(acl_set_file(*state, ACL_TYPE_DEFAULT, acl), errno);
    acl_free(acl);
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);
    expect_acl(place.path, "u::rwx,u:54321:rwx,u:54330:r--,g::---,m::rwx,o::---");
    assert_int_equal(hf_socket_unlink(place.path, &inode), 0);
    close(fd);
}

static void test_secure(void **state)
{
    const uid_t users[] = {STRANGER};
    HfSocketStage stage = HF_LISTENER_SOCKET;
    HfSocketInode inode;
    Place place;
    int fd = -1;

    place_at(&place, state);
    place.request.has_mode = true;
    place.request.mode = 0600;
    bool acls = has_acls(*state);
    place.request.acl_users = users;
    place.request.n_acl_users = acls ? 1 : 0;
    assert_int_equal(bind_request(&place.request, &fd, &inode), 0);

    place.request.mode = 0664;
    place.request.n_acl_users = 0;
    place.request.replace_acl = true;
    assert_int_equal(hf_socket_secure(&place.request, &inode, &stage), 0);
    assert_int_equal(look(place.path).st_mode & 07777, 0664);
    if (acls)
        expect_acl(place.path, "u::rw-,g::rw-,o::r--");

    /* another's path is not touched */
    assert_int_equal(unlink(place.path), 0);
    int file = open(place.path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(hf_socket_secure(&place.request, &inode, &stage), -EADDRINUSE);
    assert_int_equal(stage, HF_LISTENER_BIND);
    assert_int_equal(look(place.path).st_mode & 07777, 0600);
    assert_int_equal(unlink(place.path), 0);
    close(file);
    close(fd);
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_bind_and_unlink),
        IN_DIRECTORY(test_unlink_of_another),
        IN_DIRECTORY(test_unlink_of_a_file_with_the_same_inode),
        IN_DIRECTORY(test_longest_path),
        IN_DIRECTORY(test_dead_socket_is_replaced),
        IN_DIRECTORY(test_dead_socket_with_a_living_connection_is_replaced),
        IN_DIRECTORY(test_listener_is_left_alone),
        IN_DIRECTORY(test_full_listener_is_left_alone),
        IN_DIRECTORY(test_forbidden_socket_is_left_alone),
        IN_DIRECTORY(test_socket_before_listen_is_left_alone),
        IN_DIRECTORY(test_datagram_socket_is_left_alone),
        IN_DIRECTORY(test_file_is_left_alone),
        IN_DIRECTORY(test_other_things_are_left_alone),
        IN_DIRECTORY(test_directory_is_missing),
        IN_DIRECTORY(test_directory_may_not_be_written),
        IN_DIRECTORY(test_mode_whatever_the_umask),
        IN_DIRECTORY(test_owner),
        IN_DIRECTORY(test_owner_without_privilege),
        IN_DIRECTORY(test_same_path),
        IN_DIRECTORY(test_probe),
        IN_DIRECTORY(test_acl),
        IN_DIRECTORY(test_acl_beside_the_directory_s_default),
        IN_DIRECTORY(test_secure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
