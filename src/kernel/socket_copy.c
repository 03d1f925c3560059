#include "kernel/socket_copy.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/parse.h"
#include "kernel/owner.h"
#include "kernel/socket.h"

#define INODES_MAX 64

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define CLEANUP_DIRECTORY __attribute__((cleanup(close_directory)))

static bool is_one_of(DIR *directory, const char *name, const ino_t *inodes, int n)
{
    struct stat found;

    if (fstatat(dirfd(directory), name, &found, 0) < 0 || (found.st_mode & S_IFMT) != S_IFSOCK)
        return false;
    for (int i = 0; i < n; i++)
        if (found.st_ino == inodes[i])
            return true;
    return false;
}

/* The number of holder's descriptor of one of these sockets. */
static int find_number(pid_t pid, const ino_t *inodes, int n, int *ret)
{
    char path[64];
    const struct dirent *entry;
    uint64_t number;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    CLEANUP_DIRECTORY DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? -ESRCH : -errno;
    while ((entry = readdir(directory)))
        if (hf_parse_uint(entry->d_name, INT_MAX, &number) == 0 &&
            is_one_of(directory, entry->d_name, inodes, n)) {
            *ret = (int)number;
            return 0;
        }
    return -ENOTCONN;
}

int hf_takeover_copy(const HfProcess *holder, const struct sockaddr_storage *address,
                     unsigned length, int *ret_fd)
{
    ino_t inodes[INODES_MAX];
    int number = -1;

    int n = hf_conflict_find(address, length, inodes, INODES_MAX);
    if (n <= 0)
        return n < 0 ? n : -ENOENT;
    int r = find_number(holder->pid, inodes, n, &number);
    if (r < 0)
        return r;
    HF_CLEANUP_FD int fd = pidfd_getfd(holder->pidfd, number, 0);
    if (fd < 0)
        return errno == EBADF ? -ENOTCONN : -errno;
    r = hf_socket_verify(fd); /* the number may have become another file meanwhile */
    if (r < 0)
        return -ENOTCONN;
    *ret_fd = hf_fd_steal(&fd);
    return 0;
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
