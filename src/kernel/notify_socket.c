/* SPDX-License-Identifier: MIT */
#include "kernel/notify_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

#define MODE 0666

static int make_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_length)
{
    size_t length = strlen(path);
    bool abstract = path[0] == '@';

    if (length < (abstract ? 2 : 1))
        return -EINVAL;
    /* A path is followed by its NUL, an abstract name is not. */
    if (length + !abstract > sizeof(ret->sun_path))
        return -ENAMETOOLONG;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, length);
    if (abstract)
        ret->sun_path[0] = '\0';
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
    return 0;
}

static int remove_old_socket(const char *path)
{
    struct stat old;

    if (lstat(path, &old) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(old.st_mode))
        return -ENOTSOCK;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int hf_notifysocket_send_fd(const char *path, const char *text, int passed)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct sockaddr_un address;
    struct iovec vector = {.iov_len = strlen(text)};
    struct msghdr message = {.msg_name = &address, .msg_iov = &vector, .msg_iovlen = 1};

    memcpy(&vector.iov_base, &text, sizeof(void *)); /* recvmsg(2) lacks const */
    int r = make_address(path, &address, &message.msg_namelen);
    if (r < 0)
        return r;
    if (passed >= 0) {
        control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(passed)),
                                          .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int hf_notifysocket_connect(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;

    int r = make_address(path, &address, &length);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, length) < 0)
        return -errno;
    return hf_fd_steal(&fd);
}

int hf_notifysocket_open(const char *path)
{
    const int on = 1;
    struct sockaddr_un address;
    socklen_t length;

    int r = make_address(path, &address, &length);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* Before bind(2), so that no datagram arrives without credentials. */
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return -errno;

    bool on_disk = path[0] != '@';
    if (on_disk) {
        r = remove_old_socket(path);
        if (r < 0)
            return r;
    }
    if (bind(fd, (const struct sockaddr *)&address, length) < 0)
        return -errno;
    if (on_disk && chmod(path, MODE) < 0) {
        r = -errno;
        (void)unlink(path);
        return r;
    }
    return hf_fd_steal(&fd);
}

bool hf_notifysocket_stands(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;

    if (make_address(path, &address, &length) < 0)
        return false;
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* when short of something we cannot know, and could make nothing better */
    return fd < 0 || connect(fd, (const struct sockaddr *)&address, length) == 0 ||
           hf_is_shortage(-errno) || errno == EAGAIN;
}

static void close_received(const struct cmsghdr *header)
{
    size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fd;

    for (size_t i = 0; i < n; i++) {
        memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
        hf_fd_close(fd);
    }
}

ssize_t hf_notifysocket_receive(int fd, void *buffer, size_t size, pid_t *ret_pid, uid_t *ret_uid)
{
    /* Room for the credentials only: the kernel then drops passed descriptors instead of installing
     * them. */
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control = {0};
    struct iovec vector = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    struct ucred sender = {0};
    ssize_t n;

    assert(size > 0);
    do
        n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET)
            continue;
        if (header->cmsg_type == SCM_RIGHTS)
            close_received(header);
        else if (header->cmsg_type == SCM_CREDENTIALS &&
                 header->cmsg_len == CMSG_LEN(sizeof(sender)))
            memcpy(&sender, CMSG_DATA(header), sizeof(sender));
    }
    if (message.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    if (sender.pid <= 0)
        return -EPROTO;
    *ret_pid = sender.pid;
    *ret_uid = sender.uid;
    return n;
}
