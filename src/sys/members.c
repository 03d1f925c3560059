#include "sys/members.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "sys/cgroup.h"

#define ANCESTORS_MAX 64

typedef struct Found {
    HfProcess *processes;
    size_t n;
    size_t capacity;
} Found;

/* Is this process one of those looked for: 1 or 0, or negative errno when looking itself failed. */
typedef int (*Match)(pid_t pid, const void *wanted);

/* A process that has gone or may not be looked at is no match; an own shortage must not hide one.
 */
static int no_match_unless_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM ? -error : 0;
}

static void found_clear(Found *found)
{
    hf_process_array_free(found->processes, found->n);
}
#define CLEANUP_FOUND __attribute__((cleanup(found_clear)))

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define CLEANUP_DIRECTORY __attribute__((cleanup(close_directory)))

void hf_process_array_free(HfProcess *processes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hf_process_clear(&processes[i]);
    free(processes);
}

/* A pidfd becomes readable when all threads of its process have exited: it is a zombie, or gone. */
static int is_alive(int pidfd)
{
    struct pollfd exited = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&exited, 1, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r == 0;
}

static int consider(pid_t pid, Match match, const void *wanted, Found *found)
{
    HF_CLEANUP_FD int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return no_match_unless_short(errno);
    int r = match(pid, wanted);
    if (r <= 0)
        return r;

    /* Alive now, so the number was its own all the while, and what matched was this process. */
    r = is_alive(pidfd);
    if (r <= 0)
        return r;

    r = hf_array_reserve(&found->processes, &found->capacity, found->n + 1,
                         sizeof(*found->processes));
    if (r < 0)
        return r;
    found->processes[found->n++] = (HfProcess){.pid = pid, .pidfd = hf_fd_steal(&pidfd)};
    return 0;
}

static int find_processes(Match match, const void *wanted, HfProcess **ret, size_t *ret_n)
{
    CLEANUP_FOUND Found found = {0};
    CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
    if (!proc)
        return -errno;

    for (;;) {
        uint64_t pid;

        errno = 0;
        const struct dirent *entry = readdir(proc);
        if (!entry && errno != 0)
            return -errno;
        if (!entry)
            break;
        if (hf_parse_uint(entry->d_name, INT32_MAX, &pid) < 0 || pid == 0)
            continue;
        int r = consider((pid_t)pid, match, wanted, &found);
        if (r < 0)
            return r;
    }
    *ret_n = found.n;
    found.n = 0;
    *ret = HF_STEAL(found.processes);
    return 0;
}

static int runs(pid_t pid, const HfProgram *wanted)
{
    HfProgram program;

    int r = hf_process_program(pid, &program);
    if (r < 0)
        return no_match_unless_short(-r);
    return hf_program_same(&program, wanted);
}

static int is_member(pid_t pid, const void *wanted)
{
    const HfMembership *membership = wanted;

    if (getsid(pid) != membership->session) {
        int r = membership->cgroup ? hf_cgroup_holds(membership->cgroup, pid) : 0;
        if (r <= 0)
            return no_match_unless_short(-r);
    }
    return membership->program ? runs(pid, membership->program) : 1;
}

int hf_process_members(const HfMembership *membership, HfProcess **ret, size_t *ret_n)
{
    assert(membership->session > 0);
    return find_processes(is_member, membership, ret, ret_n);
}

bool hf_process_is_descendant(pid_t pid)
{
    for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
        if (hf_process_parent(pid, &pid) < 0)
            return false;
        if (pid == getpid())
            return true;
    }
    return false;
}

static int is_descendant(pid_t pid, const void *unused)
{
    (void)unused;
    return hf_process_is_descendant(pid);
}

int hf_process_descendants(HfProcess **ret, size_t *ret_n)
{
    return find_processes(is_descendant, NULL, ret, ret_n);
}

int hf_process_open_member(pid_t pid, const HfMembership *membership, HfProcess *ret)
{
    CLEANUP_FOUND Found found = {0};

    int r = pid > 0 ? consider(pid, is_member, membership, &found) : 0;
    if (r < 0 || found.n == 0)
        return r;
    *ret = found.processes[0];
    found.n = 0;
    return 1;
}

typedef struct Family {
    pid_t parent;
    const HfProgram *program; /* NULL: any */
} Family;

static int is_child(pid_t pid, const void *wanted)
{
    const Family *family = wanted;
    pid_t parent;

    int r = hf_process_parent(pid, &parent);
    if (r < 0)
        return no_match_unless_short(-r);
    if (parent != family->parent)
        return 0;
    return family->program ? runs(pid, family->program) : 1;
}

int hf_process_children(pid_t parent, const HfProgram *program, HfProcess **ret, size_t *ret_n)
{
    const Family family = {parent, program};

    assert(parent > 0);
    return find_processes(is_child, &family, ret, ret_n);
}

int hf_process_open(pid_t pid, HfProcess *ret)
{
    HF_CLEANUP_FD int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return -errno;
    int r = is_alive(pidfd);
    if (r <= 0)
        return r < 0 ? r : -ESRCH;
    *ret = (HfProcess){.pid = pid, .pidfd = hf_fd_steal(&pidfd)};
    return 0;
}

typedef struct Sockets {
    const ino_t *inodes;
    size_t n;
} Sockets;

/* link: as proc(5) shows it, "socket:[INODE]" for a socket. */
static bool is_one_of(char *link, const Sockets *sockets)
{
    static const char prefix[] = "socket:[";
    uint64_t inode;

    if (strncmp(link, prefix, strlen(prefix)) != 0)
        return false;
    char *number = link + strlen(prefix);
    number[strcspn(number, "]")] = '\0';
    if (hf_parse_uint(number, UINT64_MAX, &inode) < 0)
        return false;
    for (size_t i = 0; i < sockets->n; i++)
        if (sockets->inodes[i] == inode)
            return true;
    return false;
}

static int holds_socket(pid_t pid, const void *wanted)
{
    char path[64];
    char link[64];
    const struct dirent *entry;

    if (pid == getpid())
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    CLEANUP_DIRECTORY DIR *descriptors = opendir(path);
    if (!descriptors)
        return no_match_unless_short(errno);
    while ((entry = readdir(descriptors))) {
        ssize_t n = readlinkat(dirfd(descriptors), entry->d_name, link, sizeof(link) - 1);
        if (n < 0)
            continue;
        link[n] = '\0';
        if (is_one_of(link, wanted))
            return 1;
    }
    return 0;
}

int hf_process_socket_holders(const ino_t *inodes, size_t n_inodes, HfProcess **ret, size_t *ret_n)
{
    const Sockets sockets = {inodes, n_inodes};

    return find_processes(holds_socket, &sockets, ret, ret_n);
}
