/* SPDX-License-Identifier: MIT */
#include "kernel/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "kernel/process.h"

static pid_t read_holder(int fd)
{
    char text[32];

    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    uint64_t pid;
    return hf_parse_uint(text, INT_MAX, &pid) < 0 ? 0 : (pid_t)pid;
}

#define LOCK_MODE 0600 /* whoever can open it can lock it */

static int write_own_pid(int fd)
{
    char text[32];

    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (fchmod(fd, LOCK_MODE) < 0 || ftruncate(fd, 0) < 0)
        return -errno;
    ssize_t n = pwrite(fd, text, (size_t)length, 0);
    if (n < 0)
        return -errno;
    return n == length ? 0 : -EIO;
}

bool hf_lock_is(const char *path, int fd)
{
    struct stat opened;
    struct stat named;

    if (fstat(fd, &opened) < 0 || lstat(path, &named) < 0)
        return errno != ENOENT && errno != ENOTDIR;
    return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int hf_lock_take(const char *path, pid_t *ret_holder)
{
    enum {
        TRIES = 16,
    };

    for (int i = 0; i < TRIES; i++) {
        HF_CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
        if (fd < 0)
            return -errno;
        struct stat found;
        if (fstat(fd, &found) < 0)
            return -errno;
        if (!S_ISREG(found.st_mode))
            return -EINVAL;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int r = -errno;
            if (r == -EWOULDBLOCK)
                *ret_holder = read_holder(fd);
            return r;
        }
        if (!hf_lock_is(path, fd))
            continue;
        int r = write_own_pid(fd);
        return r < 0 ? r : hf_fd_steal(&fd);
    }
    return -EBUSY;
}

static void lock_blocking(int fd, void *unused)
{
    (void)unused;
    if (flock(fd, LOCK_EX) < 0)
        _exit(EXIT_FAILURE);
}

/* In a child that can be killed, since flock(2) has no timeout. */
int hf_lock_await(const char *path, int msec)
{
    HfProcess child = HF_PROCESS_NONE;
    siginfo_t info = {0};

    HF_CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = hf_process_call(lock_blocking, fd, NULL, &child);
    if (r < 0)
        return r;
    struct pollfd ended = {.fd = child.pidfd, .events = POLLIN};
    (void)poll(&ended, 1, msec);
    (void)hf_process_signal(child.pidfd, SIGKILL);
    while (waitid(P_PID, (id_t)child.pid, &info, WEXITED) < 0 && errno == EINTR)
        ;
    hf_process_clear(&child);
    return info.si_code == CLD_EXITED && info.si_status == EXIT_SUCCESS ? 0 : -ETIMEDOUT;
}

int hf_lock_discard_open(const char *path)
{
    struct stat found;

    if (lstat(path, &found) < 0)
        return -errno;
    if (!S_ISREG(found.st_mode) || (found.st_mode & ~(mode_t)LOCK_MODE & ACCESSPERMS) == 0)
        return -EPERM;
    return unlink(path) < 0 ? -errno : 0;
}
