/* SPDX-License-Identifier: MIT */
/* Child processes: starting, signalling through pidfds, telling apart. clone(2), pidfd_open(2),
 * execve(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"
#include "kernel/credentials.h"

/* glibc has them since 2.36, which this header tells. */
#if __has_include(<sys/pidfd.h>)
#include <sys/pidfd.h>
#else
#include <sys/syscall.h>
#include <unistd.h>
#define pidfd_open(pid, flags)        ((int)syscall(SYS_pidfd_open, pid, flags))
#define pidfd_getfd(pidfd, fd, flags) ((int)syscall(SYS_pidfd_getfd, pidfd, fd, flags))
#define pidfd_send_signal(pidfd, signal, info, flags)                                              \
    ((int)syscall(SYS_pidfd_send_signal, pidfd, signal, info, flags))
#endif

/* Does this kernel or sandbox allow the system calls that have no substitute? Returns 0, or
 * negative errno and the name of the call. */
int hf_process_check_kernel(const char **ret_call);

typedef struct HfProcess {
    pid_t pid; /* 0: none */
    int pidfd; /* owned, CLOEXEC; -1: none */
} HfProcess;

#define HF_PROCESS_NONE ((HfProcess){.pid = 0, .pidfd = -1})

void hf_process_clear(HfProcess *process);

/* The step at which the child failed before the program ran. */
typedef enum HfSpawnStage {
    HF_SPAWN_FORK,
    HF_SPAWN_SESSION,
    HF_SPAWN_CAPABILITIES,
    HF_SPAWN_USER,
    HF_SPAWN_DIRECTORY,
    HF_SPAWN_DESCRIPTORS,
    HF_SPAWN_EXEC,
    HF_SPAWN_INTERPRETER, /* the program exists, but its interpreter does not */
} HfSpawnStage;

#define HF_SPAWN_NO_INTERPRETER                                                                    \
    "it is there, but the interpreter that its first line names (#!), or its loader, is not"

/* Everything a child inherits; nothing else is open in it. Borrowed; all strings are prepared
 * before fork. Source descriptors may have any number, even one that the child is to have, and may
 * occur more than once. */
typedef struct HfSpawn {
    const char *program; /* path, resolved after the change of directory */
    char *const *argv;
    char *const *envp;     /* the whole environment */
    bool listen_pid;       /* add LISTEN_PID=<own pid> to envp, or replace it there */
    const char *directory; /* NULL: unchanged */
    int stdin_fd;          /* -1: /dev/null */
    int stdout_fd;         /* -1: inherited, or /dev/null when closed */
    int stderr_fd;         /* -1: likewise */
    const int *fds;        /* become 3, 4, ...; their blocking mode is not touched */
    size_t n_fds;
    const int *cgroup; /* descriptor of the cgroup.procs to enter, if possible; NULL: none */
    bool session;      /* setsid(2): its own session and group, with its pid as id */
    bool yields;       /* its session runs at the lowest priority possible */
    const HfCredentials *credentials; /* NULL: unchanged */
} HfSpawn;

/* Raises the soft limit of open files (RLIMIT_NOFILE) to the hard one for this process alone:
 * children get the old limit, plus room for the descriptors passed to them. Returns 0 or negative
 * errno. */
int hf_process_raise_files(void);

/* Gives this process the limit of a child that is passed so many descriptors, before it executes
 * itself. Returns 0 or negative errno. */
int hf_process_lower_files(size_t passed);

/* Remembers the current signal mask for children: call before blocking any signal. */
void hf_process_keep_mask(void);
/* The remembered mask as text, for the next program executed in this process (NULL: nothing is
 * blocked). */
void hf_process_set_mask(const char *text);
void hf_process_show_mask(HfText *text);

/* Forks without waiting for execve(2), which may take for ever where a file system does not answer.
 * *ret_outcome (owned, CLOEXEC) is readable once hf_process_outcome has a result. The child starts
 * with the remembered signal mask and without handlers; ignored signals stay ignored. Until fork
 * every signal is blocked. Returns 0 or negative errno. */
int hf_process_begin(const HfSpawn *spawn, HfProcess *ret, int *ret_outcome);

/* The result of a spawn. Returns 0 when the program runs, or was killed before (its end is seen
 * like any other), HF_SPAWN_PENDING, or negative errno and the stage: the child then ends by
 * itself, with 127 when there is no such file, else 126. */
enum {
    HF_SPAWN_PENDING = 1,
};
int hf_process_outcome(int outcome, HfSpawnStage *ret_stage);

/* Both in one, for a program and a directory that cannot block us. A child that failed has been
 * reaped. */
int hf_process_spawn(const HfSpawn *spawn, HfProcess *ret, HfSpawnStage *ret_stage);

/* Executes this program again, as a helper: with fds from descriptor 3 on, in a session of its own,
 * without our environment and directory. output: its stdout and stderr; -1: ours. Returns 0 or
 * negative errno (-ENOENT without /proc). */
int hf_process_spawn_helper(char **argv, int output, const int *fds, size_t n, HfProcess *ret);

/* Forks a child in its own session that calls function and ends, at the latest when this process
 * does. It inherits only the standard descriptors and fd. function may block and take any lock, so
 * this process must have one thread. Returns 0 or negative errno. */
int hf_process_call(void (*function)(int fd, void *userdata), int fd, void *userdata,
                    HfProcess *ret);

/* The same set-up in this process itself, for `holdfast exec`; does not return on success. On
 * failure descriptors, directory and signal dispositions may have changed; stderr is the requested
 * one. */
int hf_process_become(const HfSpawn *spawn, HfSpawnStage *ret_stage);

/* The path of program as execvp(3) would find it in path (a PATH value; NULL: the usual one), and
 * after that in the sbin directories. A program with a slash and relative elements of path are
 * resolved from directory (NULL: the working directory). Owned and absolute. Returns 0, -ENOENT,
 * -EACCES (found, but not executable), or -EISDIR. */
int hf_process_find(const char *program, const char *path, const char *directory, char **ret);

/* The pid behind a pidfd. Returns 0, -ESRCH when it has been reaped, or -EINVAL if it is not a
 * pidfd. */
int hf_process_of_pidfd(int pidfd, pid_t *ret);

/* pidfd_send_signal(2). -ESRCH when it is gone. */
int hf_process_signal(int pidfd, int signal);
/* The same, and continues a stopped process, which would not act on it. systemd.kill(5). */
int hf_process_ask(int pidfd, int signal);

/* Identifies the program that a process runs: by the inode of /proc/PID/exe or, where that is not
 * readable, by its comm. */
typedef struct HfProgram {
    dev_t device;
    ino_t inode; /* 0: unknown, the comm counts */
    char comm[16];
} HfProgram;

/* Compares inodes where both are known, else comms. */
bool hf_program_same(const HfProgram *a, const HfProgram *b);
/* Does pid run the calling process's program, or one with its name? */
bool hf_process_runs_ours(pid_t pid);
/* Does what pid shows as its command line begin with title? false when it cannot be told. */
bool hf_process_is_titled(pid_t pid, const char *title);

/* Returns 0, or -ESRCH when pid is gone. */
int hf_process_program(pid_t pid, HfProgram *ret);

/* usec since boot when the process started (field 22 of /proc/PID/stat), to detect a reused pid.
 * -ESRCH when pid is gone. */
int hf_process_started(pid_t pid, uint64_t *ret_usec);

/* Does pid have a handler for signal (SigCgt of /proc/PID/status)? False when that cannot be
 * determined. */
bool hf_process_catches(pid_t pid, int signal);

/* RssAnon of /proc/PID/status, bytes: memory that no file backs; pages shared since a fork count
 * for each process. -ESRCH when pid is gone, -ENODATA for a zombie. */
int hf_process_memory(pid_t pid, uint64_t *ret_bytes);

/* The parent's pid (field 4). Returns 0, or -ESRCH when pid is gone. */
int hf_process_parent(pid_t pid, pid_t *ret);
