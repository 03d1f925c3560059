/* SPDX-License-Identifier: MIT */
/* Children of a test, and the test's own descriptors. */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/text.h"
#include "kernel/process.h"

#define SELF "/proc/self/exe"

/* A vector as execve(2) takes it. */
#define STRINGS(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

/* Nothing set: no environment, stdin from /dev/null, output as the test's own. */
__attribute__((unused)) static HfSpawn spawning(const char *program, char *const *argv)
{
    static char *const none[] = {NULL};

    return (HfSpawn){.program = program,
                     .argv = argv,
                     .envp = none,
                     .stdin_fd = -1,
                     .stdout_fd = -1,
                     .stderr_fd = -1};
}

__attribute__((unused)) static char *read_all(int fd)
{
    HfText text = {0};
    char chunk[4096];
    ssize_t n;
    char *whole;

    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        assert_true(n > 0 || errno == EINTR);
        if (n > 0)
            hf_text_add_bytes(&text, chunk, (size_t)n);
    }
    assert_int_equal(hf_text_take(&text, &whole), 0);
    return whole;
}

__attribute__((unused)) static siginfo_t reap(HfProcess *process)
{
    siginfo_t info = {0};

    while (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(info.si_pid, process->pid);
    hf_process_clear(process);
    return info;
}

__attribute__((unused)) static void expect_exit(HfProcess *process, int status)
{
    siginfo_t info = reap(process);

    assert_int_equal(info.si_code, CLD_EXITED);
    assert_int_equal(info.si_status, status);
}

/* Runs a function in a fork, where it may spoil what it likes; it returns 0, or what failed. */
__attribute__((unused)) static void in_fork(int (*run)(const void *), const void *data)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(run(data));
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

__attribute__((unused)) static int make_memfd(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

__attribute__((unused)) static ino_t inode_of(int fd)
{
    struct stat found;

    assert_int_equal(fstat(fd, &found), 0);
    return found.st_ino;
}

__attribute__((unused)) static size_t count_fds(void)
{
    size_t n = 0;
    DIR *directory = opendir("/proc/self/fd");

    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

/* Leaves room for so many more descriptors; returns the limit to put back. */
__attribute__((unused)) static struct rlimit limit_fds(int more)
{
    struct rlimit old;
    int limit = 0;

    while (more > 0 || fcntl(limit, F_GETFD) >= 0)
        more -= fcntl(limit++, F_GETFD) < 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit low = {.rlim_cur = (rlim_t)limit, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    return old;
}

__attribute__((unused)) static void drop_privileges(void)
{
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        _exit(99);
}
