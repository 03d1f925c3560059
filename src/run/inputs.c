#include "run/inputs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "kernel/notify_socket.h"
#include "run/final_kill.h"
#include "run/notify_server.h"

struct HfInputs {
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
                hf_final_kill_hurry(supervisor->leftovers);
        }
    return 0;
}

static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfInputs *watch = userdata;

    (void)source;
    (void)revents;
    hf_notify_server(watch->supervisor, fd);
    return 0;
}

void hf_inputs_last_words(HfInputs *watch)
{
    hf_notify_server_last_words(watch->supervisor, watch->fd);
}

int hf_inputs_block(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD); /* the reaper's */
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
        sigaddset(&set, taken[i].signal);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -errno;
    return 0;
}

static int take_signals(HfSupervisor *supervisor)
{
    for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
        int r = sd_event_add_signal(supervisor->loop, NULL, taken[i].signal, on_signal, supervisor);
        if (r < 0)
            return r;
    }
    return 0;
}

int hf_inputs_fd(const HfInputs *watch)
{
    return watch->fd;
}

int hf_inputs_new(HfSupervisor *supervisor, int fd, HfInputs **ret)
{
    HfInputs *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->supervisor = supervisor;
    watch->fd = fd;
    int r = take_signals(supervisor);
    if (r >= 0 && fd < 0)
        r = watch->fd = hf_notifysocket_open(supervisor->runtime.notify);
    if (r >= 0)
        r = sd_event_add_io(supervisor->loop, &watch->notify, watch->fd, EPOLLIN, on_notify, watch);
    if (r < 0) {
        hf_inputs_free(watch);
        return r;
    }
    *ret = watch;
    return 0;
}

HfInputs *hf_inputs_free(HfInputs *watch)
{
    if (!watch)
        return NULL;
    sd_event_source_disable_unref(watch->notify);
    hf_fd_close(watch->fd);
    free(watch);
    return NULL;
}
