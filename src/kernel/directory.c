#include "kernel/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"

#define OPEN_ITSELF (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Returns 0 also when something stands at path already. */
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

int hf_file_make_directory(const char *path, mode_t mode)
{
    HF_CLEANUP_FREE char *whole = strdup(path);
    if (!whole)
        return -ENOMEM;
    /* With one at its end, a link would be followed. */
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

static int remove_entries(const char *path, DIR *directory, HfFileStays stays)
{
    int outcome = 0;
    const struct dirent *entry;

    while (errno = 0, (entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            (stays && stays(path, entry->d_name)))
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) < 0 && errno != ENOENT && outcome == 0)
            outcome = -errno;
    }
    return outcome < 0 ? outcome : -errno;
}

int hf_file_remove_directory(const char *path, HfFileStays stays)
{
    HF_CLEANUP_FD int fd = open(path, OPEN_ITSELF);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *directory = fdopendir(fd);
    if (!directory)
        return -errno;
    (void)hf_fd_steal(&fd);

    int r = remove_entries(path, directory, stays);
    closedir(directory);
    if (r < 0)
        return r;
    return rmdir(path) < 0 && errno != ENOENT && (!stays || errno != ENOTEMPTY) ? -errno : 0;
}
