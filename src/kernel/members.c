#include "kernel/members.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/cgroup.h"
#include "kernel/members_parts.h"

#define ANCESTORS_MAX 64

typedef struct Found {
    HfProcess *processes;
    size_t n;
    size_t capacity;
} Found;

int hf_members_no_match_unless_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM ? -error : 0;
}

static void found_clear(Found *found)
{
    hf_process_array_free(found->processes, found->n);
}
#define CLEANUP_FOUND __attribute__((cleanup(found_clear)))

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

static int consider(pid_t pid, HfMembersMatch match, const void *wanted, Found *found)
{
    HF_CLEANUP_FD int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return hf_members_no_match_unless_short(errno);
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

int hf_members_scan(HfMembersMatch match, const void *wanted, HfProcess **ret, size_t *ret_n)
{
    CLEANUP_FOUND Found found = {0};
    HF_CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
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
        return hf_members_no_match_unless_short(-r);
    return hf_program_same(&program, wanted);
}

static int is_member(pid_t pid, const void *wanted)
{
    const HfMembership *membership = wanted;

    if (getsid(pid) != membership->session) {
        int r = membership->cgroup ? hf_cgroup_holds(membership->cgroup, pid) : 0;
        if (r <= 0)
            return hf_members_no_match_unless_short(-r);
    }
    return membership->program ? runs(pid, membership->program) : 1;
}

int hf_process_members(const HfMembership *membership, HfProcess **ret, size_t *ret_n)
{
    assert(membership->session > 0);
    return hf_members_scan(is_member, membership, ret, ret_n);
}

/* As a subreaper the calling process is an ancestor of all that its children left behind. */
int hf_members_is_descendant(pid_t pid, const void *unused)
{
    (void)unused;
    for (int i = 0; i < ANCESTORS_MAX && pid > 1; i++) {
        int r = hf_process_parent(pid, &pid);
        if (r < 0)
            return hf_members_no_match_unless_short(-r);
        if (pid == getpid())
            return 1;
    }
    return 0;
}

bool hf_process_is_descendant(pid_t pid)
{
    return hf_members_is_descendant(pid, NULL) > 0;
}

int hf_process_descendants(HfProcess **ret, size_t *ret_n)
{
    return hf_members_scan(hf_members_is_descendant, NULL, ret, ret_n);
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
        return hf_members_no_match_unless_short(-r);
    if (parent != family->parent)
        return 0;
    return family->program ? runs(pid, family->program) : 1;
}

int hf_process_children(pid_t parent, const HfProgram *program, HfProcess **ret, size_t *ret_n)
{
    const Family family = {parent, program};

    assert(parent > 0);
    return hf_members_scan(is_child, &family, ret, ret_n);
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
