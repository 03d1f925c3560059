/* SPDX-License-Identifier: MIT */
/* Child processes: spawned, signalled through pidfds, told apart. clone(2), pidfd_open(2),
 * execve(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"
#include "kernel/credentials.h"

/* libc has them since glibc 2.36 only, which says so in <sys/pidfd.h>. */
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

/* Are the calls allowed that nothing else can do? Returns 0, or negative errno and its name: the
 * kernel is too old, or a sandbox refuses it. */
int hf_process_check_kernel(const char **ret_call);

typedef struct HfProcess {
    pid_t pid; /* 0: none */
    int pidfd; /* owned, CLOEXEC; -1: none */
} HfProcess;

#define HF_PROCESS_NONE ((HfProcess){.pid = 0, .pidfd = -1})

void hf_process_clear(HfProcess *process);

/* Where the child failed before the program ran. */
typedef enum HfSpawnStage {
    HF_SPAWN_FORK,
    HF_SPAWN_SESSION,
    HF_SPAWN_CAPABILITIES,
    HF_SPAWN_USER,
    HF_SPAWN_DIRECTORY,
    HF_SPAWN_DESCRIPTORS,
    HF_SPAWN_EXEC,
    HF_SPAWN_INTERPRETER, /* the program is there, what is to execute it is not */
} HfSpawnStage;

#define HF_SPAWN_NO_INTERPRETER                                                                    \
    "it is there, but the interpreter that its first line names (#!), or its loader, is not"

/* Everything that a child inherits; nothing else is open in it. Borrowed; all strings are prepared
 * before fork. Sources of descriptors may be any numbers, the same one more than once, and among
 * the numbers that the child is to have. */
typedef struct HfSpawn {
    const char *program; /* path, looked up after the change of directory */
    char *const *argv;
    char *const *envp;     /* whole environment */
    bool listen_pid;       /* add LISTEN_PID=<own pid> to envp, in place of any that is there */
    const char *directory; /* NULL: as it is */
    int stdin_fd;          /* -1: /dev/null */
    int stdout_fd;         /* -1: inherited, or /dev/null when it is closed */
    int stderr_fd;         /* -1: likewise */
    const int *fds;        /* become 3, 4, ...; blocking state untouched */
    size_t n_fds;
    const int *cgroup; /* descriptor of the cgroup.procs to enter, if it can; NULL: stays */
    bool session;      /* setsid(2): a session and group of its own, named after its pid */
    bool yields;       /* its session runs at the lowest priority, as far as it may be set */
    const HfCredentials *credentials; /* NULL: as they are */
} HfSpawn;

/* Raises the soft limit of open files (RLIMIT_NOFILE) to the hard one for this process alone:
 * children are given the old one, and room for what they are passed. Returns 0 or negative errno.
 */
int hf_process_raise_files(void);

/* Gives this process the limit of a child that is passed so many, as before execve(2) of itself.
 * Returns 0 or negative errno. */
int hf_process_lower_files(size_t passed);

/* The signals that are blocked now are those that are in children: called before any is blocked
 * here. */
void hf_process_keep_mask(void);
/* The same mask as text, for a program that follows this one (NULL: nothing is blocked). */
void hf_process_set_mask(const char *text);
void hf_process_show_mask(HfText *text);

/* Forks, and waits for nothing: what the child still has to do may take for ever, where a file
 * system does not answer. *ret_outcome (owned, CLOEXEC) is readable once hf_process_outcome can
 * tell. The child starts with the signal mask that was kept and without handlers;
 * what is ignored stays ignored. Until fork every signal is blocked. Returns 0 or negative errno.
 */
int hf_process_begin(const HfSpawn *spawn, HfProcess *ret, int *ret_outcome);

/* What became of it. Returns 0 when the program runs, or when the child was killed before (its end
 * is seen as any other's), HF_SPAWN_PENDING, or negative errno and the stage: then the child ends
 * by itself, with 127 when there is no such file, else 126. */
enum {
    HF_SPAWN_PENDING = 1,
};
int hf_process_outcome(int outcome, HfSpawnStage *ret_stage);

/* Both, for a program and a directory that cannot keep us waiting. A child that failed has been
 * reaped. */
int hf_process_spawn(const HfSpawn *spawn, HfProcess *ret, HfSpawnStage *ret_stage);

/* Forks a child of a session of its own that calls function and ends, with this process at the
 * latest. Of our descriptors it has the standard ones and fd alone. What the function calls may
 * block, and take any lock: for a process with one thread. Returns 0 or negative errno. */
int hf_process_call(void (*function)(int fd, void *userdata), int fd, void *userdata,
                    HfProcess *ret);

/* The same set-up in this process itself, for `holdfast exec`: does not return on success. On
 * failure descriptors, directory and dispositions may have changed; stderr is the one that was
 * asked for. */
int hf_process_become(const HfSpawn *spawn, HfSpawnStage *ret_stage);

/* The path of program as execvp(3) would find it in path (a PATH value; NULL: the usual one), and
 * after that in the sbin directories; one with a slash, and the relative elements of path, are
 * taken relative to directory (NULL: the working directory). Owned and absolute result. -ENOENT,
 * -EACCES (found, but not executable), -EISDIR. */
int hf_process_find(const char *program, const char *path, const char *directory, char **ret);

/* The pid of the process that a pidfd is of. Returns 0, -ESRCH when it has been reaped, or -EINVAL
 * for a descriptor that is no pidfd. */
int hf_process_of_pidfd(int pidfd, pid_t *ret);

/* pidfd_send_signal(2). -ESRCH when it is gone. */
int hf_process_signal(int pidfd, int signal);

/* The program that a process runs: the inode of /proc/PID/exe, or, where that may not be read, its
 * comm. */
typedef struct HfProgram {
    dev_t device;
    ino_t inode; /* 0: unknown, comm counts */
    char comm[16];
} HfProgram;

/* By inode where both are known, else by comm. */
bool hf_program_same(const HfProgram *a, const HfProgram *b);
/* Does pid run the calling process's program, or one of its name? */
bool hf_process_runs_ours(pid_t pid);

/* Returns 0, or -ESRCH when pid is gone. */
int hf_process_program(pid_t pid, HfProgram *ret);

/* usec since boot at which the process began (field 22 of /proc/PID/stat), to tell a reused pid.
 * -ESRCH when pid is gone. */
int hf_process_started(pid_t pid, uint64_t *ret_usec);

/* Does pid have a handler of its own for signal (SigCgt of /proc/PID/status)? false when it cannot
 * be told. */
bool hf_process_catches(pid_t pid, int signal);

/* RssAnon of /proc/PID/status, bytes: what it has in memory that no file backs; pages that are
 * shared since a fork count for each process. -ESRCH when pid is gone, -ENODATA for a zombie. */
int hf_process_memory(pid_t pid, uint64_t *ret_bytes);

/* The parent's pid (field 4). Returns 0, or -ESRCH when pid is gone. */
int hf_process_parent(pid_t pid, pid_t *ret);
