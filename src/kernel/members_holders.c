/* Who holds a socket open: by what /proc tells of its descriptors. proc(5). */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/members_parts.h"

/* A file as /proc/PID/fdinfo/N tells of it, since Linux 5.14. All sockets are of one mount. */
typedef struct Identity {
    uint64_t mount;
    uint64_t inode;
} Identity;

typedef struct Sockets {
    Identity *identities;
    size_t n;
    bool ours;
} Sockets;

static int read_number(const char *text, const char *key, uint64_t *ret)
{
    char number[32];
    const char *found = strstr(text, key);

    if (!found)
        return -EPROTO;
    found += strlen(key);
    size_t length = strcspn(found, "\n");
    if (length >= sizeof(number))
        return -EPROTO;
    memcpy(number, found, length);
    number[length] = '\0';
    return hf_parse_uint(number, UINT64_MAX, ret);
}

static int read_identity(int directory, const char *name, Identity *ret)
{
    char text[1024]; /* both are among the first lines */

    HF_CLEANUP_FD int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n;
    do
        n = read(fd, text, sizeof(text) - 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    int r = read_number(text, "\nmnt_id:\t", &ret->mount);
    return r < 0 ? r : read_number(text, "\nino:\t", &ret->inode);
}

/* fdinfo and not fd: that asks for the right to trace a process, not to read its files. */
static int holds_socket(pid_t pid, const void *wanted)
{
    const Sockets *sockets = wanted;
    const struct dirent *entry;
    char path[64];

    int r = sockets->ours ? hf_members_is_descendant(pid, NULL) : pid != getpid();
    if (r <= 0)
        return r;
    snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)pid);
    HF_CLEANUP_DIRECTORY DIR *descriptors = opendir(path);
    if (!descriptors)
        return hf_members_no_match_unless_short(errno);
    while ((entry = readdir(descriptors))) {
        Identity held;
        r = entry->d_name[0] == '.' ? -ENOENT
                                    : read_identity(dirfd(descriptors), entry->d_name, &held);
        if (r < 0 && hf_members_no_match_unless_short(-r) < 0)
            return r;
        for (size_t i = 0; r >= 0 && i < sockets->n; i++)
            if (sockets->identities[i].mount == held.mount &&
                sockets->identities[i].inode == held.inode)
                return 1;
    }
    return 0;
}

int hf_process_socket_holders(const int *fds, size_t n_fds, bool ours, HfProcess **ret,
                              size_t *ret_n)
{
    HF_CLEANUP_FREE Identity *identities = hf_allocate(n_fds, sizeof(*identities));
    HF_CLEANUP_FD int own = open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (!identities)
        return -ENOMEM;
    if (own < 0)
        return -errno;
    for (size_t i = 0; i < n_fds; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", fds[i]);
        int r = read_identity(own, name, &identities[i]);
        if (r < 0)
            return r;
    }
    own = hf_fd_close(own);
    const Sockets sockets = {identities, n_fds, ours};
    return hf_members_scan(holds_socket, &sockets, ret, ret_n);
}
