/* SPDX-License-Identifier: MIT */
#include "base/fd.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int hf_fd_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        /* Linux frees the number even on EINTR: closing it again could hit a descriptor opened
         * since. */
        int r = close(fd);
        assert(r >= 0 || errno != EBADF);
        errno = saved;
    }
    return -1;
}

void hf_fd_closep(int *fd)
{
    *fd = hf_fd_close(*fd);
}

bool hf_is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

int hf_fd_fill_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        /* The lowest free number is this one. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
            return -errno;
    return 0;
}

int hf_fd_raise(int fd, int minimum)
{
    if (fd >= minimum) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) >= 0)
            return fd;
        int error = errno;
        if (error != EBADF)
            hf_fd_close(fd);
        return -error;
    }
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, minimum);
    int error = errno;
    if (raised >= 0 || error != EBADF)
        hf_fd_close(fd);
    return raised >= 0 ? raised : -error;
}

int hf_fd_set_cloexec(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0)
        return -errno;
    flags = on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
    return fcntl(fd, F_SETFD, flags) < 0 ? -errno : 0;
}
