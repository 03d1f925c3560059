#include "daemon/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "core/notify.h"
#include "daemon/leftovers.h"
#include "sys/notifysocket.h"

#define DATAGRAMS_AT_ONCE 16 /* before other sources have their turn */

struct HfWatch {
    HfSupervisor *supervisor;
    int fd;
    sd_event_source *notify;
};

static const struct {
    int signal;
    HfEvent event;
} taken[] = {
    {SIGTERM, {.type = HF_EVENT_STOP_SIGNAL}},
    {SIGINT, {.type = HF_EVENT_STOP_SIGNAL}},
    {SIGQUIT, {.type = HF_EVENT_STOP_SIGNAL}},
    {SIGHUP, {.type = HF_EVENT_REQUEST, .request = HF_REQUEST_RELOAD}},
    {SIGUSR2, {.type = HF_EVENT_REQUEST, .request = HF_REQUEST_RELOAD}},
    {SIGUSR1, {.type = HF_EVENT_REOPEN}},
};

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    HfSupervisor *supervisor = userdata;

    (void)source;
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        if (taken[i].signal == (int)info->ssi_signo) {
            hf_supervisor_post(supervisor, &taken[i].event);
            if (taken[i].event.type == HF_EVENT_STOP_SIGNAL)
                hf_leftovers_hurry(supervisor->leftovers);
        }
    return 0;
}

/* Extensions are counted: what would lengthen nothing is not asked for. */
static void extend(HfSupervisor *supervisor, unsigned slot, uint64_t usec)
{
    if (!hf_supervisor_waits_longer(supervisor, HF_TIMER_DEADLINE, slot, usec))
        hf_supervisor_post(supervisor,
                           &(HfEvent){.type = HF_EVENT_EXTEND, .slot = slot, .usec = usec});
}

static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfWatch *watch = userdata;
    char buffer[HF_NOTIFY_MAX];
    HfNotify message;
    pid_t pid;
    uid_t uid;

    (void)source;
    (void)revents;
    for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
        ssize_t n = hf_notifysocket_receive(fd, buffer, sizeof(buffer), &pid, &uid);
        if (n == -EMSGSIZE || n == -EPROTO)
            continue;
        if (n < 0)
            break;
        HfGeneration *generation = hf_supervisor_find(watch->supervisor, pid);
        if (!generation || hf_notify_parse(buffer, (size_t)n, &message) < 0)
            continue;
        if (message.ready)
            hf_generation_notify_ready(generation);
        if (message.stopping)
            hf_supervisor_post(watch->supervisor,
                               &(HfEvent){.type = HF_EVENT_LEAVING, .slot = generation->slot});
        if (message.has_extend_timeout)
            extend(watch->supervisor, generation->slot, message.extend_timeout);
    }
    return 0;
}

static int take_signals(HfSupervisor *supervisor)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD); /* the reaper's */
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        sigaddset(&set, taken[i].signal);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
        int r = sd_event_add_signal(supervisor->loop, NULL, taken[i].signal, on_signal, supervisor);
        if (r < 0)
            return r;
    }
    return 0;
}

int hf_watch_new(HfSupervisor *supervisor, HfWatch **ret)
{
    HfWatch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->supervisor = supervisor;
    watch->fd = -1;
    int r = take_signals(supervisor);
    if (r >= 0)
        r = watch->fd = hf_notifysocket_open(supervisor->runtime.notify);
    if (r >= 0)
        r = sd_event_add_io(supervisor->loop, &watch->notify, watch->fd, EPOLLIN, on_notify, watch);
    if (r < 0) {
        hf_watch_free(watch);
        return r;
    }
    *ret = watch;
    return 0;
}

HfWatch *hf_watch_free(HfWatch *watch)
{
    if (!watch)
        return NULL;
    sd_event_source_disable_unref(watch->notify);
    hf_fd_close(watch->fd);
    free(watch);
    return NULL;
}
