/* SPDX-License-Identifier: MIT */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/text.h"
#include "kernel/file.h"

#define LEVELS_MAX     8
#define EVENTS_MAX     4096
#define PROCESSES_MAX  ((size_t)1024 * 1024) /* bytes of a cgroup.procs */
#define LISTED_MAX     ((size_t)65536)
#define MEMBERSHIP_MAX ((size_t)64 * 1024) /* bytes of a /proc/PID/cgroup */

static bool is_marked(const char *directory, const char *attribute)
{
    char value = '0';

    return getxattr(directory, attribute, &value, 1) == 1 && value == '1';
}

bool hf_cgroup_is_delegated(const char *directory)
{
    struct statfs system;

    return statfs(directory, &system) == 0 && system.f_type == CGROUP2_SUPER_MAGIC &&
           faccessat(AT_FDCWD, directory, W_OK, AT_EACCESS) == 0 &&
           (is_marked(directory, "user.delegate") || is_marked(directory, "trusted.delegate"));
}

static int join(const char *directory, const char *name, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/%s", directory, name);
    return hf_text_take(&path, ret);
}

int hf_cgroup_make(const char *directory)
{
    HF_CLEANUP_FREE char *procs = NULL;

    int r = join(directory, "cgroup.procs", &procs);
    if (r < 0)
        return r;
    if (mkdir(directory, 0755) < 0)
        return -errno;
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    r = -errno;
    if (fd < 0)
        rmdir(directory);
    return fd < 0 ? r : fd;
}

/* Called from the deepest directory up; rmdir(2) removes the control files as well. */
typedef void (*Visit)(const char *directory, void *userdata);

static void walk(const char *directory, int levels, Visit visit, void *userdata)
{
    const struct dirent *entry;
    DIR *opened = levels > 0 ? opendir(directory) : NULL;

    while (opened && (entry = readdir(opened))) {
        HF_CLEANUP_FREE char *below = NULL;
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' &&
            join(directory, entry->d_name, &below) == 0)
            walk(below, levels - 1, visit, userdata);
    }
    if (opened)
        closedir(opened);
    visit(directory, userdata);
}

void hf_cgroup_await_empty(const char *directory, int msec)
{
    HF_CLEANUP_FREE char *events = NULL;
    char text[EVENTS_MAX];

    if (join(directory, "cgroup.events", &events) < 0)
        return;
    HF_CLEANUP_FD int fd = open(events, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (n < 0)
        return;
    text[n] = '\0';
    struct pollfd changed = {.fd = fd, .events = POLLPRI};
    if (strstr(text, "populated 1"))
        (void)poll(&changed, 1, msec);
}

static void remove_one(const char *directory, void *result)
{
    *(int *)result = rmdir(directory) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Is there a process in it or below it? */
static bool is_populated(const char *directory)
{
    HF_CLEANUP_FREE char *events = NULL;
    HF_CLEANUP_FREE char *text = NULL;

    return join(directory, "cgroup.events", &events) == 0 &&
           hf_file_read(events, EVENTS_MAX, &text, NULL) == 0 && strstr(text, "populated 1");
}

int hf_cgroup_remove(const char *directory)
{
    int r = 0; /* of the last call, which is for the topmost directory */

    if (is_populated(directory)) /* the empty cgroups below it count as its own */
        return -EBUSY;
    walk(directory, LEVELS_MAX, remove_one, &r);
    return r;
}

static void move_one(const char *directory, void *into)
{
    HF_CLEANUP_FREE char *procs = NULL;
    HF_CLEANUP_FREE char *list = NULL;
    char *rest;

    if (join(directory, "cgroup.procs", &procs) < 0 ||
        hf_file_read(procs, PROCESSES_MAX, &list, NULL) < 0)
        return;
    for (char *pid = strtok_r(list, "\n", &rest); pid; pid = strtok_r(NULL, "\n", &rest))
        while (write(*(int *)into, pid, strlen(pid)) < 0 && errno == EINTR)
            ;
}

void hf_cgroup_empty(const char *directory, const char *into)
{
    HF_CLEANUP_FREE char *procs = NULL;

    if (join(into, "cgroup.procs", &procs) < 0)
        return;
    HF_CLEANUP_FD int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        walk(directory, LEVELS_MAX, move_one, &fd);
}

/* The path in a line of the hierarchy that systemd manages, or NULL. */
static const char *systemd_path(const char *line)
{
    static const char v2[] = "0::";
    static const char v1[] = ":name=systemd:";
    const char *rest = line + strspn(line, "0123456789");

    if (strncmp(line, v2, sizeof(v2) - 1) == 0)
        return line + sizeof(v2) - 1;
    return strncmp(rest, v1, sizeof(v1) - 1) == 0 ? rest + sizeof(v1) - 1 : NULL;
}

int hf_cgroup_holds(const char *path, pid_t pid)
{
    HF_CLEANUP_FREE char *list = NULL;
    size_t length = strlen(path);
    char file[64];
    char *rest;

    snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
    int r = hf_file_read(file, MEMBERSHIP_MAX, &list, NULL);
    if (r < 0)
        return r == -ENOENT || r == -ESRCH ? 0 : r;
    for (char *line = strtok_r(list, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *its = systemd_path(line);
        if (its && strncmp(its, path, length) == 0 && (its[length] == '\0' || its[length] == '/'))
            return 1;
    }
    return 0;
}
