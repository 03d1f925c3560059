#include "kernel/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/text.h"

static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

/* Closes fd: a full disk may be told of only here. */
static int fill(int fd, const char *data, size_t length, mode_t mode)
{
    HF_CLEANUP_FD int owned = fd;

    int r = write_all(owned, data, length);
    if (r < 0)
        return r;
    if (fchmod(owned, mode) < 0)
        return -errno;
    return close(hf_fd_steal(&owned)) < 0 && errno != EINTR ? -errno : 0;
}

int hf_file_write(const char *path, const char *data, size_t length, mode_t mode)
{
    HF_CLEANUP_TEXT HfText name = {0};
    HF_CLEANUP_FREE char *temporary = NULL;

    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    hf_text_add_bytes(&name, path, (size_t)(base - path));
    hf_text_addf(&name, ".%s.XXXXXX", base);
    int r = hf_text_take(&name, &temporary);
    if (r < 0)
        return r;

    /* O_EXCL, so that nobody's link is followed and nobody's file is written to. */
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fill(fd, data, length, mode);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlink(temporary);
    return r;
}

static int check_regular(int fd)
{
    struct stat found;

    if (fstat(fd, &found) < 0)
        return -errno;
    if (S_ISDIR(found.st_mode))
        return -EISDIR;
    return S_ISREG(found.st_mode) ? 0 : -EINVAL;
}

int hf_file_read(const char *path, size_t maximum, char **ret, size_t *ret_length)
{
    HF_CLEANUP_TEXT HfText text = {0};
    char chunk[4096];
    ssize_t n;

    HF_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int r = check_regular(fd);
    if (r < 0)
        return r;

    /* The size that fstat(2) tells is 0 for files of /proc. */
    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if ((size_t)n > maximum - text.length)
            return -EFBIG;
        hf_text_add_bytes(&text, chunk, (size_t)n);
        if (text.failed)
            return -ENOMEM;
    }
    size_t length = text.length;
    r = hf_text_take(&text, ret);
    if (r == 0 && ret_length)
        *ret_length = length;
    return r;
}
