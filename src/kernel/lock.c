#include "kernel/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"

static int check_regular(int fd)
{
    struct stat found;

    if (fstat(fd, &found) < 0)
        return -errno;
    return S_ISREG(found.st_mode) ? 0 : -EINVAL;
}

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

static int write_own_pid(int fd)
{
    char text[32];

    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0)
        return -errno;
    ssize_t n = pwrite(fd, text, (size_t)length, 0);
    if (n < 0)
        return -errno;
    return n == length ? 0 : -EIO;
}

bool hf_file_is(const char *path, int fd)
{
    struct stat opened;
    struct stat named;

    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

int hf_file_lock(const char *path, pid_t *ret_holder)
{
    enum {
        TRIES = 16,
    };

    for (int i = 0; i < TRIES; i++) {
        HF_CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
            return -errno;
        int r = check_regular(fd);
        if (r < 0)
            return r;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            r = -errno;
            if (r == -EWOULDBLOCK)
                *ret_holder = read_holder(fd);
            return r;
        }
        if (!hf_file_is(path, fd))
            continue;
        r = write_own_pid(fd);
        return r < 0 ? r : hf_fd_steal(&fd);
    }
    return -EBUSY;
}
