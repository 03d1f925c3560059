/* SPDX-License-Identifier: MIT */
#include "kernel/socket.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "kernel/file.h"
#include "kernel/owner.h"

#define SOMAXCONN_FILE    "/proc/sys/net/core/somaxconn"
#define SOMAXCONN_DEFAULT 4096

static int set_flag(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int open_socket(const HfSocketRequest *request, int *ret)
{
    const struct sockaddr_storage *address = request->address;
    HF_CLEANUP_FD int fd =
        socket(address->ss_family, (request->type ? request->type : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    int r = 0;

    if (fd < 0)
        return -errno;
    /* SO_REUSEADDR would let two UDP sockets be bound to one address */
    if (request->type == 0 && address->ss_family != AF_UNIX)
        r = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (r >= 0 && address->ss_family == AF_INET6) {
        const struct in6_addr *ip = &((const struct sockaddr_in6 *)address)->sin6_addr;
        /* ::ffff:1.2.3.4 is an IPv4 address, which an IPv6-only socket cannot bind */
        int v6only =
            request->ipv6_only || (!IN6_IS_ADDR_UNSPECIFIED(ip) && !IN6_IS_ADDR_V4MAPPED(ip));
        r = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only);
    }
    if (r < 0)
        return r;
    *ret = hf_fd_steal(&fd);
    return 0;
}

static int set_options(const HfSocketRequest *request, int fd)
{
    const char *interface = request->interface;
    int r = 0;

    if (interface && interface[0] &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) < 0)
        return -errno;
    for (size_t i = 0; r >= 0 && i < request->n_options; i++) {
        const int *option = request->options[i];
        bool free_bind = option[0] == IPPROTO_IP && option[1] == IP_FREEBIND;
        if (free_bind && request->address->ss_family == AF_INET6)
            r = set_flag(fd, IPPROTO_IPV6, IPV6_FREEBIND, option[2]);
        else
            r = set_flag(fd, option[0], option[1], option[2]);
    }
    return r;
}

/* Sets *inode once there is a file to unlink on failure, and *stage to the step it is at. */
static int make(const HfSocketRequest *request, const char *path, int fd, HfSocketInode *inode,
                HfSocketStage *stage)
{
    int r;

    if (path[0]) {
        *stage = HF_LISTENER_PATH;
        r = hf_socket_path_clear(path);
        if (r == -EADDRINUSE)
            *stage = HF_LISTENER_BIND;
        if (r < 0)
            return r;
    }
    *stage = HF_LISTENER_BIND;
    if (path[0] && request->type == SOCK_DGRAM && request->has_mode)
        (void)fchmod(fd, request->mode); /* once bound, everybody can see it */
    if (bind(fd, (const struct sockaddr *)request->address, request->address_length) < 0)
        return -errno;
    if (path[0]) {
        r = hf_socket_path_inode(path, inode);
        if (r >= 0)
            r = hf_socket_path_secure(path, inode, request, stage);
        if (r < 0)
            return r;
    }
    *stage = HF_LISTENER_LISTEN;
    return request->type != SOCK_DGRAM && listen(fd, request->backlog) < 0 ? -errno : 0;
}

int hf_socket_bind(const HfSocketRequest *request, int *ret_fd, HfSocketInode *ret_inode,
                   HfSocketStage *ret_stage)
{
    char path[HF_LISTENER_PATH_MAX];
    HfSocketInode inode = {0};
    HfSocketStage stage = HF_LISTENER_SOCKET;
    HF_CLEANUP_FD int fd = -1;

    assert(request->address_length <= sizeof(*request->address));
    hf_socket_path_of(request, path);
    int r = open_socket(request, &fd);
    if (r >= 0) {
        stage = HF_LISTENER_OPTION;
        r = set_options(request, fd);
    }
    if (r >= 0)
        r = make(request, path, fd, &inode, &stage);
    if (r < 0) {
        /* before the socket is closed, while the inode cannot be reused */
        if (inode.inode != 0)
            (void)hf_socket_unlink(path, &inode);
        *ret_stage = stage;
        return r;
    }
    *ret_inode = inode;
    *ret_fd = hf_fd_steal(&fd);
    return 0;
}

int hf_socket_secure(const HfSocketRequest *request, const HfSocketInode *inode,
                     HfSocketStage *ret_stage)
{
    char path[HF_LISTENER_PATH_MAX];

    hf_socket_path_of(request, path);
    return hf_socket_path_secure(path, inode, request, ret_stage);
}

static int get_option(int fd, int option, int *ret)
{
    socklen_t length = sizeof(*ret);

    return getsockopt(fd, SOL_SOCKET, option, ret, &length) < 0 ? -errno : 0;
}

int hf_socket_type(int fd)
{
    int type = 0;
    int listens = 0;
    int r = get_option(fd, SO_TYPE, &type);

    if (r >= 0)
        r = get_option(fd, SO_ACCEPTCONN, &listens);
    if (r < 0)
        return r;
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET && type != SOCK_DGRAM)
        return -EPROTOTYPE;
    return listens || type == SOCK_DGRAM ? type : -EINVAL;
}

int hf_socket_verify(int fd)
{
    int type = 0;
    int r = get_option(fd, SO_TYPE, &type);

    if (r < 0 || type != SOCK_STREAM)
        return r < 0 ? r : -EPROTOTYPE;
    r = hf_socket_type(fd);
    return r < 0 ? r : 0;
}

int hf_listener_name(int fd, struct sockaddr_storage *ret, unsigned *ret_length)
{
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
        return -errno;
    if (length > sizeof(name))
        return -ENAMETOOLONG;
    *ret = name;
    *ret_length = length;
    return 0;
}

int hf_socket_set_backlog(int fd, int backlog)
{
    return listen(fd, backlog) < 0 ? -errno : 0;
}

int hf_socket_shut_down(int fd)
{
    return shutdown(fd, SHUT_RDWR) < 0 ? -errno : 0;
}

int hf_socket_somaxconn(void)
{
    char text[32];
    uint64_t value;
    ssize_t n;

    HF_CLEANUP_FD int fd = open(SOMAXCONN_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SOMAXCONN_DEFAULT;
    do
        n = read(fd, text, sizeof(text) - 1);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return SOMAXCONN_DEFAULT;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return hf_parse_uint(text, INT32_MAX, &value) < 0 ? SOMAXCONN_DEFAULT : (int)value;
}

bool hf_socket_can_have(const HfSocketRequest *request)
{
    union {
        struct sockaddr_storage storage;
        struct sockaddr_in in; /* its port is where sockaddr_in6 has it */
    } any = {.storage = *request->address};
    HF_CLEANUP_FD int fd = -1;

    if (request->address->ss_family == AF_UNIX || open_socket(request, &fd) < 0)
        return true;
    any.in.sin_port = 0;
    return set_options(request, fd) < 0 ||
           bind(fd, (const struct sockaddr *)&any, request->address_length) == 0 ||
           errno != EADDRNOTAVAIL;
}

static void reach_inet(struct sockaddr_storage *address)
{
    struct sockaddr_in in;

    memcpy(&in, address, sizeof(in));
    if (in.sin_addr.s_addr == htonl(INADDR_ANY))
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(address, &in, sizeof(in));
}

static int reach_inet6(int fd, struct sockaddr_storage *address, unsigned *length)
{
    struct sockaddr_in6 in6;
    int only = 0;
    socklen_t size = sizeof(only);

    memcpy(&in6, address, sizeof(in6));
    if (!IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
        return 0;
    if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) < 0)
        return -errno;
    if (only) {
        in6.sin6_addr = in6addr_loopback;
        memcpy(address, &in6, sizeof(in6));
        return 0;
    }
    const struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_port = in6.sin6_port,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    memcpy(address, &in, sizeof(in));
    *length = sizeof(in);
    return 0;
}

int hf_socket_reach(int fd, struct sockaddr_storage *ret, socklen_t *ret_length)
{
    struct sockaddr_storage address;
    unsigned length;

    int r = hf_listener_name(fd, &address, &length);
    if (r < 0)
        return r;
    if (address.ss_family == AF_INET)
        reach_inet(&address);
    else if (address.ss_family == AF_INET6)
        r = reach_inet6(fd, &address, &length);
    if (r < 0)
        return r;
    *ret = address;
    *ret_length = length;
    return 0;
}

/* ---- copies ---- */

#define INODES_MAX 64

/* Returns the index in inodes of the file behind this descriptor, or -1. */
static int find_inode(DIR *directory, const char *name, const ino_t *inodes, int n)
{
    struct stat found;

    if (fstatat(dirfd(directory), name, &found, 0) < 0 || (found.st_mode & S_IFMT) != S_IFSOCK)
        return -1;
    for (int i = 0; i < n; i++)
        if (found.st_ino == inodes[i])
            return i;
    return -1;
}

/* Copies each of these sockets that holder has, once. Returns how many, or negative errno. */
static int copy_sockets(const HfProcess *holder, ino_t *inodes, int n, int *ret, int maximum)
{
    char path[64];
    const struct dirent *entry;
    uint64_t number;
    int copied = 0;
    int r = -ENOTCONN;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)holder->pid);
    HF_CLEANUP_DIRECTORY DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? -ESRCH : -errno;
    while (copied < maximum && (entry = readdir(directory))) {
        int i = hf_parse_uint(entry->d_name, INT_MAX, &number) < 0
                    ? -1
                    : find_inode(directory, entry->d_name, inodes, n);
        if (i < 0)
            continue;
        ino_t wanted = inodes[i];
        inodes[i] = 0;
        HF_CLEANUP_FD int fd = pidfd_getfd(holder->pidfd, (int)number, 0);
        if (fd < 0 && errno != EBADF)
            r = -errno;
        /* by now the number may belong to another file or listener */
        struct stat got;
        if (fd >= 0 && fstat(fd, &got) == 0 && got.st_ino == wanted && hf_socket_verify(fd) == 0)
            ret[copied++] = hf_fd_steal(&fd);
    }
    return copied > 0 ? copied : r;
}

int hf_takeover_copy_all(const HfProcess *holder, const struct sockaddr_storage *address,
                         unsigned length, int *ret_fds, int maximum)
{
    ino_t inodes[INODES_MAX];

    int n = hf_conflict_find(address, length, inodes, INODES_MAX);
    if (n <= 0)
        return n < 0 ? n : -ENOENT;
    return copy_sockets(holder, inodes, n, ret_fds, maximum);
}

int hf_takeover_copy(const HfProcess *holder, const struct sockaddr_storage *address,
                     unsigned length, int *ret_fd)
{
    int r = hf_takeover_copy_all(holder, address, length, ret_fd, 1);
    return r < 0 ? r : 0;
}

int hf_takeover_same_network(pid_t pid)
{
    struct stat own;
    struct stat other;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    if (stat("/proc/self/ns/net", &own) < 0 || stat(path, &other) < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}
