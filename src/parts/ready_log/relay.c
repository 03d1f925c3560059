#include "parts/ready_log/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define OTHERS_MAY_WRITE 0622 /* a service that is another user opens /proc/self/fd/2 */

void hf_relay_close_outputs(HfRelay *relay)
{
    if (relay->err != relay->out)
        hf_fd_close(relay->err);
    hf_fd_close(relay->out);
    relay->out = relay->err = -1;
}

void hf_relay_clear(HfRelay *relay)
{
    hf_relay_close_outputs(relay);
    hf_fd_close(relay->seen);
    hf_process_clear(&relay->process);
    relay->seen = -1;
}

static bool same_place(int a, int b)
{
    struct stat left;
    struct stat right;

    return fstat(a, &left) == 0 && fstat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

static int open_pipe(int *ret_read, int *ret_write)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ret_read = ends[0];
    *ret_write = ends[1];
    return fchmod(ends[1], OTHERS_MAY_WRITE) < 0 ? -errno : 0;
}

/* ends: what the relay has as 3, 4, ...: where it tells, and the reading ends of one or two
 * streams. */
static int start(const char *text, int output, const int *ends, size_t n, HfProcess *ret)
{
    static char *const no_environment[] = {NULL};
    char *copy = strdup(text);
    char option[] = HF_RELAY_OPTION;
    char name[] = "holdfast";
    HfSpawnStage stage;

    if (!copy)
        return -ENOMEM;
    char *const argv[] = {name, option, copy, NULL};
    const HfSpawn spawn = {
        .program = "/proc/self/exe", /* also when an update has replaced the file */
        .argv = argv,
        .envp = no_environment,
        .directory = "/",
        .stdin_fd = -1,
        .stdout_fd = output,
        .stderr_fd = output,
        .fds = ends,
        .n_fds = n,
        .session = true, /* a terminal's interrupt is for holdfast */
    };
    int r = hf_process_spawn(&spawn, ret, &stage);
    free(copy);
    return r;
}

int hf_relay_start(const char *text, int output, HfRelay *ret)
{
    HfRelay relay = HF_RELAY_NONE;
    HF_CLEANUP_FD int out = -1;
    HF_CLEANUP_FD int err = -1;
    HF_CLEANUP_FD int tell = -1;
    bool one = output >= 0 || same_place(STDOUT_FILENO, STDERR_FILENO);

    int r = open_pipe(&err, &relay.err);
    if (r >= 0 && one)
        relay.out = relay.err;
    else if (r >= 0)
        r = open_pipe(&out, &relay.out);
    if (r >= 0)
        r = open_pipe(&relay.seen, &tell);
    if (r >= 0) {
        const int ends[] = {tell, err, out};
        r = start(text, output, ends, one ? 2 : 3, &relay.process);
    }
    if (r < 0) {
        hf_relay_clear(&relay);
        return r;
    }
    *ret = relay;
    return 0;
}
