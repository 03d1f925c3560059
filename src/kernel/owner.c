#include "kernel/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "base/text.h"
#include "kernel/conflict.h"
#include "kernel/process.h"

#define INODES_MAX 64
#define DELETED    " (deleted)"

typedef struct Candidate {
    pid_t pid; /* 0: none */
    uint64_t started;
} Candidate;

static void close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define CLEANUP_DIRECTORY __attribute__((cleanup(close_directory)))

static bool is_wanted(const char *link, const ino_t *inodes, size_t n)
{
    char wanted[64];

    for (size_t i = 0; i < n; i++) {
        snprintf(wanted, sizeof(wanted), "socket:[%ju]", (uintmax_t)inodes[i]);
        if (strcmp(link, wanted) == 0)
            return true;
    }
    return false;
}

/* A process that may not be looked into, or is gone by now, holds nothing as far as can be seen. */
static bool holds(pid_t pid, const ino_t *inodes, size_t n)
{
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    CLEANUP_DIRECTORY DIR *fds = fdopendir(fd);
    if (!fds) {
        hf_fd_close(fd);
        return false;
    }
    for (struct dirent *entry = readdir(fds); entry; entry = readdir(fds)) {
        char link[64];
        ssize_t length = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);

        if (length < 0)
            continue;
        link[length] = '\0';
        if (is_wanted(link, inodes, n))
            return true;
    }
    return false;
}

static bool is_older(const Candidate *a, const Candidate *b)
{
    if (b->pid == 0 || a->started != b->started)
        return b->pid == 0 || a->started < b->started;
    return a->pid < b->pid;
}

static int find_oldest(const ino_t *inodes, size_t n, Candidate *ret)
{
    CLEANUP_DIRECTORY DIR *proc = opendir("/proc");
    Candidate oldest = {0};

    if (!proc)
        return -errno;
    for (struct dirent *entry = readdir(proc); entry; entry = readdir(proc)) {
        Candidate candidate;
        uint64_t pid;

        if (hf_parse_uint(entry->d_name, INT_MAX, &pid) < 0)
            continue;
        candidate.pid = (pid_t)pid;
        if (holds(candidate.pid, inodes, n) &&
            hf_process_started(candidate.pid, &candidate.started) >= 0 &&
            is_older(&candidate, &oldest))
            oldest = candidate;
    }
    if (oldest.pid == 0)
        return -ENOENT;
    *ret = oldest;
    return 0;
}

static int read_program(pid_t pid, char *ret, size_t size)
{
    char name[64];
    char target[PATH_MAX];

    snprintf(name, sizeof(name), "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(name, target, sizeof(target));
    if (length > 0) {
        size_t left = (size_t)length;
        size_t cut = strlen(DELETED);
        if (left > cut && memcmp(target + left - cut, DELETED, cut) == 0)
            left -= cut;
        const char *slash = memrchr(target, '/', left);
        const char *base = slash ? slash + 1 : target;
        hf_text_printable(base, left - (size_t)(base - target), ret, size);
        return 0;
    }

    HfProgram program;
    int r = hf_process_program(pid, &program);
    if (r < 0)
        return r;
    hf_text_printable(program.comm, strnlen(program.comm, sizeof(program.comm)), ret, size);
    return 0;
}

int hf_owner_find(const struct sockaddr_storage *address, unsigned length, HfOwner *ret)
{
    ino_t inodes[INODES_MAX];
    Candidate oldest = {0};
    HfOwner owner = {0};
    struct timespec now;

    int n = hf_conflict_find(address, length, inodes, INODES_MAX);
    if (n <= 0)
        return n < 0 ? n : -ENOENT;
    int r = find_oldest(inodes, (size_t)n, &oldest);
    if (r < 0)
        return r == -ENOENT ? -EACCES : r;
    owner.pid = oldest.pid;
    r = read_program(oldest.pid, owner.program, sizeof(owner.program));
    if (r < 0)
        return r == -ESRCH ? -ENOENT : r;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t usec = (uint64_t)now.tv_sec * HF_USEC_PER_SEC + (uint64_t)now.tv_nsec / 1000;
    owner.age = usec > oldest.started ? usec - oldest.started : 0;
    *ret = owner;
    return 0;
}
