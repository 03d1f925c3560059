/* SPDX-License-Identifier: MIT */
#include "kernel/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "kernel/file.h"

/* confstr(3) _CS_PATH leaves out the sbin directories, where php-fpm lives. */
#define DEFAULT_PATH   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define STATUS_MAX     ((size_t)2 * 1024 * 1024) /* bytes; a process may have 65536 groups */
#define ALWAYS_IN_PATH "/usr/local/sbin:/usr/sbin:/sbin"

void hf_process_clear(HfProcess *process)
{
    hf_fd_close(process->pidfd);
    *process = HF_PROCESS_NONE;
}

int hf_process_check_kernel(const char **ret_call)
{
    HF_CLEANUP_FD int self = pidfd_open(getpid(), 0);

    *ret_call = "pidfd_open";
    if (self < 0)
        return -errno;
    *ret_call = "pidfd_send_signal";
    return hf_process_signal(self, 0);
}

int hf_process_signal(int pidfd, int signal)
{
    return pidfd_send_signal(pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int hf_process_ask(int pidfd, int signal)
{
    int r = hf_process_signal(pidfd, signal);

    if (r >= 0 && signal != SIGKILL)
        (void)hf_process_signal(pidfd, SIGCONT);
    return r;
}

static int check_executable(const char *path)
{
    struct stat found;

    if (stat(path, &found) < 0)
        return errno == ENOTDIR ? -ENOENT : -errno;
    if (S_ISDIR(found.st_mode))
        return -EISDIR;
    if (!S_ISREG(found.st_mode))
        return -EACCES;
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        return 0;
    /* faccessat2(2) itself is refused: leave the verdict to execve(2) */
    return errno == ENOSYS || errno == EPERM ? 0 : -errno;
}

/* Joins those that are given, each relative to the one before, the first to the working directory.
 */
static int absolute_path(const char *directory, const char *element, const char *program,
                         char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};
    const char *parts[] = {directory, element, program};
    size_t first = 0;

    for (size_t i = 0; i < 3; i++)
        if (parts[i][0] == '/')
            first = i;
    if (parts[first][0] != '/') {
        HF_CLEANUP_FREE char *here = get_current_dir_name();
        if (!here)
            return -errno;
        hf_text_add(&path, here);
    }
    for (size_t i = first; i < 3; i++) {
        if (parts[i][0] == '\0')
            continue;
        if (path.length > 0 && path.data[path.length - 1] != '/')
            hf_text_add(&path, "/");
        hf_text_add(&path, parts[i]);
    }
    return hf_text_take(&path, ret);
}

/* Returns 0 and the path when it is executable, 1 and *reason when it is not, or negative errno. */
static int try(const char *directory, const char *element, const char *program, char **ret,
               int *reason)
{
    HF_CLEANUP_FREE char *path = NULL;

    int r = absolute_path(directory, element, program, &path);
    if (r < 0)
        return r;
    assert(path);
    *reason = check_executable(path);
    if (*reason < 0)
        return 1;
    *ret = HF_STEAL(path);
    return 0;
}

static int search(const char *program, const char *path, const char *directory, char **ret)
{
    int outcome = -ENOENT;

    for (const char *begin = path;;) {
        size_t length = strcspn(begin, ":");
        HF_CLEANUP_FREE char *element = strndup(begin, length);
        if (!element)
            return -ENOMEM;
        int reason = 0;
        int r = try(directory, element, program, ret, &reason);
        if (r <= 0)
            return r;
        if (reason == -EACCES || reason == -EISDIR)
            outcome = -EACCES;
        if (begin[length] == '\0')
            return outcome;
        begin += length + 1;
    }
}

int hf_process_find(const char *program, const char *path, const char *directory, char **ret)
{
    if (!directory)
        directory = "";
    if (program[0] == '\0')
        return -ENOENT;

    if (strchr(program, '/')) {
        int reason = 0;
        int r = try(directory, "", program, ret, &reason);
        return r > 0 ? reason : r;
    }
    int r = search(program, path ? path : DEFAULT_PATH, directory, ret);
    if (r != -ENOENT && r != -EACCES)
        return r;
    int again = search(program, ALWAYS_IN_PATH, directory, ret);
    return again == -ENOENT ? r : again;
}

/* Reads a whole short file of /proc/PID. Returns its length, or -ESRCH when it or the process is
 * gone. */
static ssize_t read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    HF_CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    ssize_t n;
    do
        n = read(fd, buffer, size - 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    buffer[n] = '\0';
    return n;
}

int hf_process_program(pid_t pid, HfProgram *ret)
{
    HfProgram program = {0};
    char path[64];
    struct stat executable;

    ssize_t n = read_proc(pid, "comm", program.comm, sizeof(program.comm));
    if (n < 0)
        return (int)n;
    program.comm[strcspn(program.comm, "\n")] = '\0';

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    if (stat(path, &executable) == 0) {
        program.device = executable.st_dev;
        program.inode = executable.st_ino;
    }
    *ret = program;
    return 0;
}

bool hf_program_same(const HfProgram *a, const HfProgram *b)
{
    if (a->inode != 0 && b->inode != 0)
        return a->inode == b->inode && a->device == b->device;
    return strcmp(a->comm, b->comm) == 0;
}

bool hf_process_runs_ours(pid_t pid)
{
    HfProgram own;
    HfProgram program;

    return hf_process_program(getpid(), &own) == 0 && hf_process_program(pid, &program) == 0 &&
           (hf_program_same(&program, &own) || strcmp(program.comm, own.comm) == 0);
}

bool hf_process_is_titled(pid_t pid, const char *title)
{
    char line[256];

    return read_proc(pid, "cmdline", line, sizeof(line)) > 0 &&
           strncmp(line, title, strlen(title)) == 0;
}

/* Field number, counted from 1 and after the comm, of /proc/PID/stat. */
static int read_stat(pid_t pid, int number, uint64_t maximum, uint64_t *ret)
{
    enum {
        FIRST_AFTER_COMM = 3,
    };
    char stat[2048];

    ssize_t n = read_proc(pid, "stat", stat, sizeof(stat));
    if (n < 0)
        return (int)n;

    /* A comm may contain blanks and parentheses; nothing after it does. */
    char *rest = strrchr(stat, ')');
    if (!rest)
        return -EPROTO;
    char *field = strtok_r(rest + 1, " \n", &rest);
    for (int i = FIRST_AFTER_COMM; field && i < number; i++)
        field = strtok_r(NULL, " \n", &rest);
    return field && hf_parse_uint(field, maximum, ret) == 0 ? 0 : -EPROTO;
}

int hf_process_parent(pid_t pid, pid_t *ret)
{
    uint64_t parent;

    int r = read_stat(pid, 4, INT32_MAX, &parent);
    if (r < 0)
        return r;
    *ret = (pid_t)parent;
    return 0;
}

int hf_process_of_pidfd(int pidfd, pid_t *ret)
{
    static const char key[] = "\nPid:\t";
    char name[64];
    char text[1024];

    snprintf(name, sizeof(name), "fdinfo/%d", pidfd);
    ssize_t n = read_proc(getpid(), name, text, sizeof(text));
    if (n < 0)
        return n == -ESRCH ? -EBADF : (int)n;
    const char *found = strstr(text, key);
    if (!found)
        return -EINVAL;
    long pid = strtol(found + sizeof(key) - 1, NULL, 10);
    if (pid <= 0)
        return -ESRCH;
    *ret = (pid_t)pid;
    return 0;
}

int hf_process_started(pid_t pid, uint64_t *ret_usec)
{
    uint64_t ticks;

    int r = read_stat(pid, 22, UINT64_MAX / HF_USEC_PER_SEC, &ticks);
    if (r < 0)
        return r;
    long per_second = sysconf(_SC_CLK_TCK);
    assert(per_second > 0);
    *ret_usec = ticks * (HF_USEC_PER_SEC / (uint64_t)per_second);
    return 0;
}

/* The number after "\nKEY:" in /proc/PID/status, in the given base. */
static int read_status(pid_t pid, const char *key, int base, unsigned long long *ret)
{
    HF_CLEANUP_FREE char *status = NULL;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    int r = hf_file_read(path, STATUS_MAX, &status, NULL);
    if (r < 0)
        return r == -ENOENT ? -ESRCH : r;
    const char *found = strstr(status, key);
    if (!found)
        return -ENODATA;
    *ret = strtoull(found + strlen(key), NULL, base);
    return 0;
}

bool hf_process_catches(pid_t pid, int signal)
{
    unsigned long long mask;

    if (read_status(pid, "\nSigCgt:", 16, &mask) < 0)
        return false;
    return (mask >> (signal - 1) & 1) != 0;
}

int hf_process_memory(pid_t pid, uint64_t *ret_bytes)
{
    unsigned long long kilobytes;

    int r = read_status(pid, "\nRssAnon:", 10, &kilobytes);
    if (r < 0)
        return r;
    *ret_bytes = kilobytes * 1024;
    return 0;
}
