/* SPDX-License-Identifier: MIT */
#include "kernel/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

/* Also closes fd, as a full disk may be reported only then. */
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

    /* O_EXCL: follows nobody's link and overwrites nobody's file */
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

    /* fstat(2) reports a size of 0 for files in /proc. */
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

#define OPEN_ITSELF (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Returns 0 even if something other than a directory stands at path. */
static int make_one(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : -errno;
    HF_CLEANUP_FD int fd = open(path, OPEN_ITSELF);
    return fd < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

static int check_trusted(const char *path)
{
    struct stat found;

    HF_CLEANUP_FD int fd = open(path, OPEN_ITSELF | O_PATH);
    if (fd < 0 || fstat(fd, &found) < 0)
        return -errno;
    if (found.st_uid != 0 && found.st_uid != geteuid())
        return -EPERM;
    return (found.st_mode & S_IWOTH) && !(found.st_mode & S_ISVTX) ? -EPERM : 0;
}

static void cut_trailing_slashes(char *path)
{
    size_t length = strlen(path);

    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

#ifndef RESOLVE_CACHED /* Linux 5.12 */
#define RESOLVE_CACHED 0x20
#endif

bool hf_file_is_near(const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
    struct statx found;

    HF_CLEANUP_FD int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    return fd >= 0 && statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &found) == 0 &&
           found.stx_dev_major != 0;
}

int hf_file_make_directory(const char *path, mode_t mode)
{
    HF_CLEANUP_FREE char *whole = strdup(path);
    if (!whole)
        return -ENOMEM;
    /* With a slash at the end, a link would be followed. */
    cut_trailing_slashes(whole);

    for (char *slash = strchr(whole + (whole[0] == '/'), '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = make_one(whole, mode);
        if (r < 0)
            return r;
        *slash = '/';
    }
    int r = make_one(whole, mode);
    return r < 0 ? r : check_trusted(whole);
}

void hf_file_close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}

static int remove_files(const char *path, DIR *directory, HfFileStays stays, const void *userdata)
{
    int outcome = 0;
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (stays && stays(path, entry->d_name, userdata)))
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) < 0 && errno != ENOENT && outcome == 0)
            outcome = -errno;
    }
    return outcome < 0 ? outcome : -errno;
}

int hf_file_remove_entries(const char *path, HfFileStays stays, const void *userdata)
{
    HF_CLEANUP_FD int fd = open(path, OPEN_ITSELF);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    HF_CLEANUP_DIRECTORY DIR *directory = fdopendir(fd);
    if (!directory)
        return -errno;
    (void)hf_fd_steal(&fd);
    return remove_files(path, directory, stays, userdata);
}

int hf_file_remove_directory(const char *path, HfFileStays stays, const void *userdata)
{
    int r = hf_file_remove_entries(path, stays, userdata);

    if (r < 0)
        return r;
    return rmdir(path) < 0 && errno != ENOENT && (!stays || errno != ENOTEMPTY) ? -errno : 0;
}

/* Since Linux 6.3; with vm.memfd_noexec=2 memfd_create(2) fails without it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int create_memfd(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd < 0 ? -errno : fd;
}

static int write_memfd(int fd, const char *data, size_t length)
{
    size_t done = 0;

    /* At explicit offsets, since the reader shares the file position. */
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
    return create_memfd(name);
}

int hf_memfile_replace(int fd, const char *data, size_t length)
{
    int r = write_memfd(fd, data, length);

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
    HF_CLEANUP_FD int fd = create_memfd(name);

    if (fd < 0)
        return fd;
    int r = write_memfd(fd, data, length);
    if (r < 0)
        return r;
    if (fchmod(fd, 0444) < 0)
        return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -errno;
    return hf_fd_steal(&fd);
}
