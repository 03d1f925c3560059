#include "parts/ready_log/ready_log.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"

#define AWAIT_TIME HF_USEC_PER_SEC

static int on_seen(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfGeneration *generation = userdata;
    char byte;

    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (read(fd, &byte, 1) == 1)
        hf_generation_ready(generation);
    return 0;
}

static void on_relay_exit(const siginfo_t *info, void *userdata)
{
    const HfGeneration *generation = userdata;
    const HfLogFields fields = {.generation = generation->number};

    if (info->si_code != CLD_EXITED || info->si_status != 0)
        hf_log(LOG_ERR, &fields,
               "the relay of generation %llu has died; what the generation writes is lost",
               (unsigned long long)generation->number);
}

int hf_ready_log_begin(HfGeneration *generation, int output)
{
    HfRelay *relay = &generation->relay;

    int r = hf_relay_start(generation->plan->ready_text, output, relay);
    if (r >= 0)
        r = hf_reaper_watch(generation->reaper, relay->process.pid, on_relay_exit, generation);
    if (r >= 0)
        r = sd_event_add_io(generation->loop, &generation->relay_watch, relay->seen, EPOLLIN,
                            on_seen, generation);
    return r;
}

void hf_ready_log_spawned(HfGeneration *generation)
{
    hf_relay_close_outputs(&generation->relay);
}

void hf_ready_log_ignore(HfGeneration *generation)
{
    generation->relay_watch = sd_event_source_disable_unref(generation->relay_watch);
    hf_fd_close(generation->relay.seen);
    generation->relay.seen = -1;
}

void hf_ready_log_forget(HfGeneration *generation)
{
    hf_ready_log_ignore(generation);
    if (generation->relay.process.pid > 0)
        hf_reaper_forget(generation->reaper, generation->relay.process.pid);
    hf_relay_clear(&generation->relay);
}

/* timeout: ms. */
static bool has_ended(const HfProcess *process, int timeout)
{
    return poll(&(struct pollfd){.fd = process->pidfd, .events = POLLIN}, 1, timeout) != 0;
}

static void drop(HfRelays *relays, size_t i)
{
    hf_process_clear(&relays->list[i]);
    relays->list[i] = relays->list[--relays->n];
}

void hf_relays_keep(HfRelays *relays, HfGeneration *generation)
{
    HfProcess *process = &generation->relay.process;

    for (size_t i = relays->n; i-- > 0;)
        if (has_ended(&relays->list[i], 0))
            drop(relays, i);
    if (process->pid <= 0 || relays->n == HF_RELAYS_MAX)
        return;
    hf_reaper_forget(generation->reaper, process->pid);
    relays->list[relays->n++] = *process;
    *process = HF_PROCESS_NONE;
}

void hf_relays_await(HfRelays *relays)
{
    uint64_t end = hf_clock_monotonic() + AWAIT_TIME;

    while (relays->n > 0) {
        uint64_t now = hf_clock_monotonic();
        has_ended(&relays->list[relays->n - 1],
                  now < end ? (int)((end - now) / HF_USEC_PER_MSEC) : 0);
        drop(relays, relays->n - 1);
    }
}
