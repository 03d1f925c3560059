/* SPDX-License-Identifier: MIT */
#include "kernel/members.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/cgroup.h"
#include "kernel/file.h"

#define ANCESTORS_MAX 64
#define STRANGERS     2048 /* remembered */

/* A process that has gone or may not be examined is no match (0), but running short of descriptors
 * must not hide one. */
static int no_match_unless_short(int r)
{
    return hf_is_shortage(r) ? r : 0;
}

/* A pidfd becomes readable when all threads of its process have exited: it is then a zombie, or
 * gone. */
static int is_alive(int pidfd)
{
    struct pollfd exited = {.fd = pidfd, .events = POLLIN};
    int r;

    do
        r = poll(&exited, 1, 0);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r == 0;
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

int hf_process_open_match(pid_t pid, HfProcessMatch match, const void *wanted, HfProcess *ret)
{
    HF_CLEANUP_FD int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;

    if (pidfd < 0)
        return pid > 0 ? no_match_unless_short(-errno) : 0;
    int r = match(pid, wanted);
    if (r <= 0)
        return r;

    /* It is alive, so the pid was its own all along, and the match was of this process. */
    r = is_alive(pidfd);
    if (r > 0)
        *ret = (HfProcess){.pid = pid, .pidfd = hf_fd_steal(&pidfd)};
    return r;
}

int hf_process_visit(HfProcessMatch match, const void *wanted, HfProcessVisit visit, void *userdata)
{
    HF_CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
    int r = 0;

    if (!proc)
        return -errno;
    while (r == 0) {
        HfProcess process = HF_PROCESS_NONE;
        uint64_t pid;

        errno = 0;
        const struct dirent *entry = readdir(proc);
        if (!entry)
            return -errno;
        if (hf_parse_uint(entry->d_name, INT32_MAX, &pid) < 0)
            continue;
        r = match((pid_t)pid, wanted); /* most do not, and need no pidfd */
        if (r > 0)
            r = hf_process_open_match((pid_t)pid, match, wanted, &process);
        if (r > 0)
            r = visit(&process, userdata);
        hf_process_clear(&process);
    }
    return r;
}

/* ---- what they are ---- */

/* name: a comm that begins like this counts as well; NULL: none does. */
static int runs(pid_t pid, const HfProgram *wanted, const char *name)
{
    HfProgram program;

    int r = hf_process_program(pid, &program);
    if (r < 0)
        return no_match_unless_short(r);
    return hf_program_same(&program, wanted) ||
           (name && strncmp(program.comm, name, strlen(name)) == 0);
}

int hf_process_is_member(pid_t pid, const void *wanted)
{
    const HfMembership *membership = wanted;

    assert(membership->session > 0);
    if (getsid(pid) != membership->session) {
        int r = membership->cgroup ? hf_cgroup_holds(membership->cgroup, pid) : 0;
        if (r <= 0)
            return no_match_unless_short(r);
    }
    return membership->program ? runs(pid, membership->program, membership->name) : 1;
}

int hf_process_is_child(pid_t pid, const void *wanted)
{
    const HfFamily *family = wanted;
    pid_t parent;

    assert(family->parent > 0);
    int r = hf_process_parent(pid, &parent);
    if (r < 0)
        return no_match_unless_short(r);
    if (parent != family->parent)
        return 0;
    return family->program ? runs(pid, family->program, NULL) : 1;
}

/* 0: unknown. */
static uint32_t number_of(pid_t pid)
{
    char path[32];
    struct stat found;

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    return stat(path, &found) < 0 ? 0 : (uint32_t)found.st_ino;
}

/* As a subreaper the calling process is an ancestor of everything its children left behind, and
 * nobody else becomes its descendant. So strangers are remembered, by the number of /proc/PID,
 * which no other process with that pid has: all processes are looked at again and again. */
int hf_process_is_descendant(pid_t pid, const void *unused)
{
    static uint32_t strangers[STRANGERS];
    uint32_t *stranger = &strangers[(uint32_t)pid % STRANGERS];
    uint32_t number = number_of(pid);
    const uint32_t first = number;

    (void)unused;
    for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
        if (number != 0 && number == strangers[(uint32_t)pid % STRANGERS])
            break;
        int r = hf_process_parent(pid, &pid);
        if (r < 0)
            return no_match_unless_short(r);
        if (pid == getpid())
            return 1;
        number = number_of(pid);
    }
    if (getpid() != 1) /* orphans of others become children of an init */
        *stranger = first;
    return 0;
}

int hf_process_list_add(HfProcessList *processes, pid_t pid)
{
    HfListedProcess one = {.pid = pid};

    if (hf_process_is_listed(pid, processes) > 0 || hf_process_started(pid, &one.started) < 0)
        return 0;
    int r = hf_array_reserve(&processes->list, &processes->capacity, processes->n + 1, sizeof(one));
    if (r >= 0)
        processes->list[processes->n++] = one;
    return r;
}

void hf_process_list_clear(HfProcessList *processes)
{
    free(processes->list);
    *processes = (HfProcessList){0};
}

int hf_process_is_listed(pid_t pid, const void *wanted)
{
    const HfProcessList *processes = wanted;
    uint64_t started;

    for (size_t i = 0; i < processes->n; i++)
        if (processes->list[i].pid == pid && hf_process_started(pid, &started) == 0 &&
            started == processes->list[i].started)
            return 1;
    return 0;
}

/* ---- sockets that they hold ---- */

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

static int read_identity(int directory, const char *name, HfFileIdentity *ret)
{
    char text[1024]; /* both fields are in the first lines */

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

int hf_held_sockets_identify(const int *fds, size_t n_fds, HfHeldSockets *ret)
{
    HF_CLEANUP_FREE HfFileIdentity *identities = hf_allocate(n_fds, sizeof(*identities));
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
    *ret = (HfHeldSockets){HF_STEAL(identities), n_fds};
    return 0;
}

void hf_held_sockets_clear(HfHeldSockets *sockets)
{
    free(sockets->identities);
    *sockets = (HfHeldSockets){0};
}

int hf_process_is_holder(pid_t pid, const void *wanted)
{
    size_t which;

    return hf_process_holds(pid, wanted, &which);
}

/* fdinfo rather than fd: what that needs is the right to trace the process, not to read its files.
 */
int hf_process_holds(pid_t pid, const HfHeldSockets *sockets, size_t *ret_which)
{
    const struct dirent *entry;
    char path[64];

    if (pid == getpid())
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)pid);
    HF_CLEANUP_DIRECTORY DIR *descriptors = opendir(path);
    if (!descriptors)
        return no_match_unless_short(-errno);
    while ((entry = readdir(descriptors))) {
        HfFileIdentity held;
        int r = entry->d_name[0] == '.' ? -ENOENT
                                        : read_identity(dirfd(descriptors), entry->d_name, &held);
        if (r < 0 && no_match_unless_short(r) < 0)
            return r;
        for (size_t i = 0; r >= 0 && i < sockets->n; i++)
            if (sockets->identities[i].mount == held.mount &&
                sockets->identities[i].inode == held.inode) {
                *ret_which = i;
                return 1;
            }
    }
    return 0;
}
