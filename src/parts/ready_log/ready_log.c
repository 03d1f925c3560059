#include "parts/ready_log/ready_log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "parts/ready_log/relay.h"
#include "run/supervisor.h"

#define AWAIT_TIME HF_USEC_PER_SEC
#define LEFT_MAX   64 /* relays that are awaited at the end */

typedef struct HfReadyLog {
    HfRelayKind kind; /* what generations know of it */
    HfSupervisor *supervisor;
    HfProcess left[LEFT_MAX]; /* whose generations have been forgotten */
    size_t n_left;
} HfReadyLog;

/* Of one generation. */
typedef struct Watched {
    HfReadyLog *log;
    HfGeneration *generation;
    HfRelay relay;
    sd_event_source *source;
} Watched;

/* timeout: ms. */
static bool has_ended(const HfProcess *process, int timeout)
{
    return poll(&(struct pollfd){.fd = process->pidfd, .events = POLLIN}, 1, timeout) != 0;
}

static void drop_left(HfReadyLog *log, size_t i)
{
    hf_process_clear(&log->left[i]);
    log->left[i] = log->left[--log->n_left];
}

/* ---- the relay of a generation ---- */

static int on_seen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    const Watched *watched = userdata;
    char byte;

    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (read(fd, &byte, 1) == 1)
        hf_generation_ready(watched->generation);
    return 0;
}

static void on_relay_exit(const siginfo_t *info, void *userdata)
{
    const HfGeneration *generation = ((const Watched *)userdata)->generation;
    const HfLogFields fields = {.generation = generation->number};

    if (info->si_code != CLD_EXITED || info->si_status != 0)
        hf_log(LOG_ERR, &fields,
               "the relay of generation %llu has died; what the generation writes is lost",
               (unsigned long long)generation->number);
}

static void relay_ignore(void *relay)
{
    Watched *watched = relay;

    watched->source = sd_event_source_disable_unref(watched->source);
    watched->relay.seen = hf_fd_close(watched->relay.seen);
}

static void relay_forget(void *relay)
{
    Watched *watched = relay;
    HfReadyLog *log = watched->log;
    HfProcess *process = &watched->relay.process;

    relay_ignore(watched);
    for (size_t i = log->n_left; i-- > 0;)
        if (has_ended(&log->left[i], 0))
            drop_left(log, i);
    if (process->pid > 0)
        hf_reaper_forget(watched->generation->reaper, process->pid);
    if (process->pid > 0 && log->n_left < LEFT_MAX) {
        log->left[log->n_left++] = *process;
        *process = HF_PROCESS_NONE;
    }
    hf_relay_clear(&watched->relay);
    free(watched);
}

static int relay_begin(void *userdata, HfGeneration *generation, int output, int *ret_out,
                       int *ret_err, void **ret)
{
    Watched *watched = malloc(sizeof(*watched));

    if (!watched)
        return -ENOMEM;
    *watched = (Watched){userdata, generation, HF_RELAY_NONE, NULL};
    *ret = watched;
    HfRelay *relay = &watched->relay;
    int r = hf_relay_start(generation->plan->ready_text, output, relay);
    if (r >= 0)
        r = hf_reaper_watch(generation->reaper, relay->process.pid, on_relay_exit, watched);
    if (r >= 0)
        r = sd_event_add_io(generation->loop, &watched->source, relay->seen, EPOLLIN, on_seen,
                            watched);
    *ret_out = relay->out;
    *ret_err = relay->err;
    return r;
}

static void relay_spawned(void *relay)
{
    hf_relay_close_outputs(&((Watched *)relay)->relay);
}

/* ---- the part ---- */

static int ready_log_begin(HfSupervisor *supervisor, void **ret, HfText *error)
{
    HfReadyLog *log = calloc(1, sizeof(*log));

    (void)error;
    if (!log)
        return -ENOMEM;
    log->kind = (HfRelayKind){log, relay_begin, relay_spawned, relay_ignore, relay_forget};
    log->supervisor = supervisor;
    supervisor->runtime.relays = &log->kind;
    *ret = log;
    return 0;
}

/* Waits until they have passed on what was written, at most a second; one that nobody reads, or
 * whose writers are spared, goes on by itself. */
static void ready_log_free(void *state)
{
    HfReadyLog *log = state;
    uint64_t end = hf_clock_monotonic() + AWAIT_TIME;

    while (log->n_left > 0) {
        uint64_t now = hf_clock_monotonic();
        has_ended(&log->left[log->n_left - 1],
                  now < end ? (int)((end - now) / HF_USEC_PER_MSEC) : 0);
        drop_left(log, log->n_left - 1);
    }
    free(log);
}

const HfPart hf_part_ready_log = {
    .name = "ready_log",
    .mode = HF_RELAY_OPTION,
    .mode_main = hf_relay_main,
    .begin = ready_log_begin,
    .free = ready_log_free,
};
