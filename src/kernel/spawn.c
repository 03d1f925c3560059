/* SPDX-License-Identifier: MIT */
#include "kernel/process.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"

#define FIRST_PASSED      3
#define LISTEN_PID_PREFIX "LISTEN_PID="
#define NICE_MAX          19
#define AUTOGROUP_MAX     "19"

/* Everything that must not be allocated between fork and exec. */
typedef struct Prepared {
    char **envp;  /* a vector of borrowed strings */
    int *sources; /* become descriptors 0, 1, 2, ...; -1: /dev/null */
    char listen_pid[sizeof(LISTEN_PID_PREFIX) + 3 * sizeof(pid_t)];
} Prepared;

typedef struct Failure {
    HfSpawnStage stage;
    int error;
} Failure;

/* The limit that children get back; RLIM_INFINITY as long as it was not raised. */
static rlim_t own_files = RLIM_INFINITY;

int hf_process_raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    if (limit.rlim_cur == limit.rlim_max)
        return 0;
    rlim_t own = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    own_files = own;
    return 0;
}

int hf_process_lower_files(size_t passed)
{
    struct rlimit limit;
    rlim_t needed = own_files + passed;

    if (own_files == RLIM_INFINITY)
        return 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return -errno;
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

/* The signal mask for children: the one our caller gave us. */
static sigset_t own_mask;

void hf_process_keep_mask(void)
{
    sigprocmask(SIG_SETMASK, NULL, &own_mask);
}

void hf_process_set_mask(const char *text)
{
    sigemptyset(&own_mask);
    for (char *end; text && *text; text = end) {
        unsigned long signal = strtoul(text, &end, 10);
        if (end == text)
            break;
        if (signal > 0 && signal <= (unsigned long)SIGRTMAX)
            sigaddset(&own_mask, (int)signal);
    }
}

void hf_process_show_mask(HfText *text)
{
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (sigismember(&own_mask, signal) == 1)
            hf_text_addf(text, " %d", signal);
}

static void prepared_clear(Prepared *prepared)
{
    free(prepared->envp);
    free(prepared->sources);
}
#define CLEANUP_PREPARED __attribute__((cleanup(prepared_clear)))

static int prepare_environment(const HfSpawn *spawn, Prepared *prepared)
{
    size_t n = 0;

    prepared->envp = calloc(hf_strv_length(spawn->envp) + 2, sizeof(*prepared->envp));
    if (!prepared->envp)
        return -ENOMEM;
    for (char *const *entry = spawn->envp; *entry; entry++)
        if (!spawn->listen_pid ||
            strncmp(*entry, LISTEN_PID_PREFIX, strlen(LISTEN_PID_PREFIX)) != 0)
            prepared->envp[n++] = *entry;
    memcpy(prepared->listen_pid, LISTEN_PID_PREFIX, sizeof(LISTEN_PID_PREFIX));
    if (spawn->listen_pid)
        prepared->envp[n++] = prepared->listen_pid;
    return 0;
}

/* fd, or for -1 our own number unless that is closed. */
static int inherited_unless_set(int fd, int own)
{
    if (fd >= 0)
        return fd;
    return fcntl(own, F_GETFD) >= 0 ? own : -1;
}

/* Logs are often set to /proc/self/fd/2, which a service may open anew as another user; a pipe of
 * our own would be open to its creator only. */
static void share_pipe(int fd)
{
    struct stat found;

    if (fd >= 0 && fstat(fd, &found) == 0 && (found.st_mode & S_IFMT) == S_IFIFO)
        (void)fchmod(fd, (found.st_mode & ACCESSPERMS) | S_IWOTH);
}

static int prepare_sources(const HfSpawn *spawn, Prepared *prepared)
{
    prepared->sources = calloc(FIRST_PASSED + spawn->n_fds, sizeof(*prepared->sources));
    if (!prepared->sources)
        return -ENOMEM;
    prepared->sources[STDIN_FILENO] = spawn->stdin_fd;
    prepared->sources[STDOUT_FILENO] = inherited_unless_set(spawn->stdout_fd, STDOUT_FILENO);
    prepared->sources[STDERR_FILENO] = inherited_unless_set(spawn->stderr_fd, STDERR_FILENO);
    for (size_t i = 0; i < spawn->n_fds; i++) {
        assert(spawn->fds[i] >= 0);
        prepared->sources[FIRST_PASSED + i] = spawn->fds[i];
    }
    if (spawn->credentials && spawn->credentials->has_user) {
        share_pipe(prepared->sources[STDOUT_FILENO]);
        share_pipe(prepared->sources[STDERR_FILENO]);
    }
    return 0;
}

static int prepare(const HfSpawn *spawn, Prepared *prepared)
{
    assert(spawn->program && spawn->argv && spawn->argv[0] && spawn->envp);
    assert(spawn->fds || spawn->n_fds == 0);

    int r = prepare_environment(spawn, prepared);
    return r < 0 ? r : prepare_sources(spawn, prepared);
}

/* Ignored signals stay ignored: holdfast itself ignores none, so our caller did, such as nohup, or
 * systemd with IgnoreSIGPIPE=. */
static void reset_dispositions(void)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct sigaction own;

    /* Fails for KILL, STOP and the two that libc reserves, which nobody can have changed. */
    for (int signal = 1; signal <= SIGRTMAX; signal++)
        if (sigaction(signal, NULL, &own) == 0 && own.sa_handler != SIG_IGN)
            (void)sigaction(signal, &by_default, NULL);
}

/* Copies *fd out of the range below minimum. The original stays open: it may be a source twice. */
static int lift(int *fd, int minimum)
{
    if (*fd >= minimum)
        return 0;
    int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, minimum);
    if (lifted < 0)
        return -errno;
    *fd = lifted;
    return 0;
}

/* Closes first to last, now or (later) at execve(2), where close_range(2) is refused. Without
 * readdir(3), which is not async-signal-safe. */
static int close_each(unsigned first, unsigned last, bool later)
{
    _Alignas(struct dirent) char entries[2048];
    HF_CLEANUP_FD int all = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n;

    if (all < 0)
        return -errno;
    while ((n = syscall(SYS_getdents64, all, entries, sizeof(entries))) > 0)
        for (long at = 0; at < n;) {
            const struct dirent *entry = (const struct dirent *)(entries + at);
            unsigned fd = 0;
            for (const char *digit = entry->d_name; *digit >= '0' && *digit <= '9'; digit++)
                fd = fd * 10 + (unsigned)(*digit - '0');
            if (entry->d_name[0] != '.' && fd >= first && fd <= last && (int)fd != all) {
                if (later)
                    (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
                else
                    close((int)fd);
            }
            at += entry->d_reclen;
        }
    return n < 0 ? -errno : 0;
}

static int close_all(unsigned first, unsigned last, unsigned flags)
{
    if (syscall(SYS_close_range, first, last, flags) == 0)
        return 0;
    if (errno != ENOSYS && errno != EPERM && errno != EINVAL) /* no such flag before 5.11 */
        return -errno;
    return close_each(first, last, flags != 0);
}

/* Closes everything from first on except error_fd; with -1 at execve(2) only. */
static int close_the_rest(int first, int error_fd)
{
    if (error_fd < 0)
        return close_all((unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC);
    int r = error_fd > first ? close_all((unsigned)first, (unsigned)error_fd - 1, 0) : 0;
    return r < 0 ? r : close_all((unsigned)error_fd + 1, ~0U, 0);
}

/* error_fd: stays open, under another number if need be; -1: none. */
static int lay_out_descriptors(int *sources, int n_sources, int *error_fd)
{
    int r;

    if (*error_fd >= 0) {
        r = lift(error_fd, n_sources);
        if (r < 0)
            return r;
    }
    for (int i = 0; i < n_sources; i++) {
        if (sources[i] < 0) {
            sources[i] = open("/dev/null", (i == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
            if (sources[i] < 0)
                return -errno;
        }
        r = lift(&sources[i], n_sources);
        if (r < 0)
            return r;
    }
    for (int i = 0; i < n_sources; i++)
        while (dup2(sources[i], i) < 0)
            if (errno != EINTR)
                return -errno;
    return close_the_rest(n_sources, *error_fd);
}

/* Without snprintf(3), which is not async-signal-safe. */
static void format_own_pid(char *text)
{
    char digits[3 * sizeof(pid_t)];
    size_t n = 0;

    for (pid_t rest = getpid(); rest > 0; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    while (n > 0)
        *text++ = digits[--n];
    *text = '\0';
}

static int enter_credentials(const HfCredentials *credentials, HfSpawnStage *stage)
{
    *stage = HF_SPAWN_CAPABILITIES;
    int r = hf_credentials_narrow(credentials);
    if (r < 0)
        return r;
    *stage = HF_SPAWN_USER;
    return hf_credentials_enter(credentials);
}

/* Where the kernel groups processes by session, a nice value only counts within the session. */
static void lower_priority(void)
{
    int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, AUTOGROUP_MAX, strlen(AUTOGROUP_MAX));
        close(fd);
    }
    (void)setpriority(PRIO_PROCESS, 0, NICE_MAX);
}

/* Async-signal-safe calls only. */
static int enter(const HfSpawn *spawn, Prepared *prepared, int *error_fd, HfSpawnStage *stage)
{
    *stage = HF_SPAWN_SESSION;
    if (spawn->cgroup) /* 0 stands for the writing process; whether it worked can be seen later */
        (void)!write(*spawn->cgroup, "0", 1);
    reset_dispositions();
    if (spawn->session && setsid() < 0)
        return -errno;
    if (spawn->yields)
        lower_priority();

    int r = spawn->credentials ? enter_credentials(spawn->credentials, stage) : 0;
    if (r < 0)
        return r;
    /* Before anything that may hang: a hanging child must not keep our lock. */
    *stage = HF_SPAWN_DESCRIPTORS;
    r = lay_out_descriptors(prepared->sources, FIRST_PASSED + (int)spawn->n_fds, error_fd);
    if (r >= 0)
        r = hf_process_lower_files(spawn->n_fds);
    if (r < 0)
        return r;
    *stage = HF_SPAWN_DIRECTORY;
    if (spawn->directory && chdir(spawn->directory) < 0)
        return -errno;

    *stage = HF_SPAWN_EXEC;
    if (spawn->listen_pid)
        format_own_pid(prepared->listen_pid + strlen(LISTEN_PID_PREFIX));
    sigprocmask(SIG_SETMASK, &own_mask, NULL);
    execve(spawn->program, spawn->argv, prepared->envp);
    r = -errno;
    if (r == -ENOENT && access(spawn->program, F_OK) == 0)
        *stage = HF_SPAWN_INTERPRETER;
    return r;
}

static _Noreturn void run_child(const HfSpawn *spawn, Prepared *prepared, int error_fd)
{
    Failure failure;

    failure.error = enter(spawn, prepared, &error_fd, &failure.stage);
    while (write(error_fd, &failure, sizeof(failure)) < 0 && errno == EINTR)
        ;
    _exit(failure.error == -ENOENT ? 127 : 126); /* as a shell does */
}

static void block_all_signals(sigset_t *ret_old)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, ret_old);
}

int hf_process_outcome(int outcome, HfSpawnStage *ret_stage)
{
    Failure failure;
    ssize_t n;

    do
        n = read(outcome, &failure, sizeof(failure));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return HF_SPAWN_PENDING;
    if (n == 0)
        return 0;
    if (n != (ssize_t)sizeof(failure)) {
        *ret_stage = HF_SPAWN_FORK;
        return n < 0 ? -errno : -EIO;
    }
    *ret_stage = failure.stage;
    return failure.error;
}

static void end_child(const HfProcess *process)
{
    siginfo_t info;

    (void)hf_process_signal(process->pidfd, SIGKILL);
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED) < 0 && errno == EINTR)
        ;
}

/* With its pidfd, or not at all. */
static int take_child(pid_t pid, HfProcess *ret)
{
    HfProcess process = {.pid = pid, .pidfd = pidfd_open(pid, 0)};

    if (process.pidfd < 0) {
        int r = -errno;
        (void)kill(pid, SIGKILL); /* not reaped yet, so the pid cannot be reused */
        end_child(&process);
        return r;
    }
    *ret = process;
    return 0;
}

int hf_process_begin(const HfSpawn *spawn, HfProcess *ret, int *ret_outcome)
{
    CLEANUP_PREPARED Prepared prepared = {0};
    int ends[2];
    sigset_t old;

    int r = prepare(spawn, &prepared);
    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    HF_CLEANUP_FD int read_end = ends[0];
    HF_CLEANUP_FD int write_end = ends[1];

    block_all_signals(&old);
    pid_t pid = fork();
    if (pid == 0)
        run_child(spawn, &prepared, hf_fd_steal(&write_end));
    int error = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (pid < 0)
        return -error;
    write_end = hf_fd_close(write_end);

    r = take_child(pid, ret);
    if (r < 0)
        return r;
    *ret_outcome = hf_fd_steal(&read_end);
    return 0;
}

int hf_process_call(void (*function)(int fd, void *userdata), int fd, void *userdata,
                    HfProcess *ret)
{
    sigset_t old;

    block_all_signals(&old);
    pid_t pid = fork();
    if (pid == 0) {
        reset_dispositions();
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setsid() < 0 ||
            close_the_rest(FIRST_PASSED, fd) < 0)
            _exit(126);
        function(fd, userdata);
        _exit(0);
    }
    int error = errno;
    sigprocmask(SIG_SETMASK, &old, NULL);
    return pid < 0 ? -error : take_child(pid, ret);
}

int hf_process_spawn(const HfSpawn *spawn, HfProcess *ret, HfSpawnStage *ret_stage)
{
    HfProcess process = HF_PROCESS_NONE;
    HF_CLEANUP_FD int outcome = -1;

    *ret_stage = HF_SPAWN_FORK;
    int r = hf_process_begin(spawn, &process, &outcome);
    if (r < 0)
        return r;
    struct pollfd known = {.fd = outcome, .events = POLLIN};
    while ((r = hf_process_outcome(outcome, ret_stage)) == HF_SPAWN_PENDING)
        (void)poll(&known, 1, -1);
    if (r < 0) {
        end_child(&process);
        hf_process_clear(&process);
        return r;
    }
    *ret = process;
    return 0;
}

int hf_process_spawn_helper(char **argv, int output, const int *fds, size_t n, HfProcess *ret)
{
    static char *const no_environment[] = {NULL};
    HfSpawnStage stage;
    const HfSpawn spawn = {
        .program = "/proc/self/exe", /* works even if an update has replaced the file */
        .argv = argv,
        .envp = no_environment,
        .directory = "/",
        .stdin_fd = -1,
        .stdout_fd = output,
        .stderr_fd = output,
        .fds = fds,
        .n_fds = n,
        .session = true, /* Ctrl-C on a terminal is meant for holdfast */
    };

    return hf_process_spawn(&spawn, ret, &stage);
}

int hf_process_become(const HfSpawn *spawn, HfSpawnStage *ret_stage)
{
    CLEANUP_PREPARED Prepared prepared = {0};
    int error_fd = -1;
    sigset_t old;

    *ret_stage = HF_SPAWN_FORK;
    int r = prepare(spawn, &prepared);
    if (r < 0)
        return r;
    block_all_signals(&old);
    r = enter(spawn, &prepared, &error_fd, ret_stage);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return r;
}
