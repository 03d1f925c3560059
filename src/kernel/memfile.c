#include "kernel/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"

/* Linux 6.3; with vm.memfd_noexec=2 memfd_create(2) refuses without it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int create(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? -errno : fd;
}

static int write_whole(int fd, const char *data, size_t length)
{
    size_t done = 0;

    /* At explicit offsets: the reader shares the file position. */
    while (done < length) {
        ssize_t n = pwrite(fd, data + done, length - done, (off_t)done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

int hf_memfile_open(const char *name)
{
    return create(name);
}

int hf_memfile_replace(int fd, const char *data, size_t length)
{
    int r = write_whole(fd, data, length);

    if (r < 0)
        return r;
    return ftruncate(fd, (off_t)length) < 0 ? -errno : 0;
}

int hf_memfile_read(int fd, size_t maximum, char **ret, size_t *ret_length)
{
    struct stat status;
    size_t done = 0;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EINVAL;
    if (status.st_size < 0 || (size_t)status.st_size > maximum)
        return -EFBIG;
    size_t length = (size_t)status.st_size;
    HF_CLEANUP_FREE char *data = malloc(length + 1);
    if (!data)
        return -ENOMEM;
    while (done < length) {
        ssize_t n = pread(fd, data + done, length - done, (off_t)done);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
    }
    data[done] = '\0';
    *ret = HF_STEAL(data);
    *ret_length = done;
    return 0;
}

int hf_memfile_make(const char *name, const char *data, size_t length)
{
    HF_CLEANUP_FD int fd = create(name);

    if (fd < 0)
        return fd;
    int r = write_whole(fd, data, length);
    if (r < 0)
        return r;
    if (fchmod(fd, 0444) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return hf_fd_steal(&fd);
}
