#include "parts/fallback/outage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "parts/fallback/fallback.h"

#define RETRY_AFTER_SECONDS 10
#define PATIENCE_MSEC       1000
#define END_MSEC            3000

static void forget(HfSupervisor *supervisor)
{
    supervisor->answerer_released = hf_fd_close(supervisor->answerer_released);
    hf_process_clear(&supervisor->answerer);
}

static void gone(HfSupervisor *supervisor)
{
    forget(supervisor);
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_ANSWERER_GONE});
}

static void on_exit_of_answerer(const siginfo_t *info, void *userdata)
{
    (void)info;
    hf_log(LOG_ERR, NULL, "the answerer ended unasked; connections wait in the queue");
    gone(userdata);
}

static int start(HfSupervisor *supervisor)
{
    const HfPlan *plan = supervisor->current;
    HF_CLEANUP_FD int released = -1;
    int ends[2];
    HF_CLEANUP_FREE int *fds = calloc(plan->n_listeners + 1, sizeof(*fds));
    HF_CLEANUP_FREE bool *fastcgi = calloc(plan->n_listeners + 1, sizeof(*fastcgi));

    if (!fds || !fastcgi)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_listeners; i++) {
        fds[i] = plan->listeners[i]->fd;
        fastcgi[i] = plan->adapter->fastcgi || plan->handoff->fastcgi;
    }
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    supervisor->answerer_released = ends[0];
    released = ends[1];
    const HfFallbackRequest request = {
        .fds = fds,
        .fastcgi = fastcgi,
        .n = plan->n_listeners < HF_ANSWERER_LISTENERS_MAX ? plan->n_listeners
                                                           : HF_ANSWERER_LISTENERS_MAX,
        .released_fd = released,
        .retry_after_seconds = RETRY_AFTER_SECONDS,
        .limits = HF_ANSWERER_LIMITS,
    };
    int r = hf_fallback_start(&request, &supervisor->answerer);
    if (r < 0)
        return r;
    r = hf_reaper_watch(supervisor->reaper, supervisor->answerer.pid, on_exit_of_answerer,
                        supervisor);
    if (r < 0)
        hf_process_signal(supervisor->answerer.pidfd, SIGKILL);
    return r;
}

void hf_outage_begin(HfSupervisor *supervisor)
{
    if (supervisor->current->n_listeners == 0)
        return;
    int r = start(supervisor);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "the answerer cannot be started; connections wait in the queue");
        gone(supervisor);
    }
}

static bool wait_for(int fd, short events, int msec)
{
    struct pollfd one = {.fd = fd, .events = events};
    int r;

    do
        r = poll(&one, 1, msec);
    while (r < 0 && errno == EINTR);
    return r != 0;
}

/* Nothing is served meanwhile, so the loop may wait: otherwise a connection that is for the next
 * generation could still be taken. */
static bool has_let_go(const HfSupervisor *supervisor)
{
    return wait_for(supervisor->answerer_released, 0, PATIENCE_MSEC);
}

void hf_outage_end(HfSupervisor *supervisor)
{
    if (supervisor->answerer.pid <= 0)
        return;
    hf_process_signal(supervisor->answerer.pidfd, SIGTERM);
    if (!has_let_go(supervisor)) {
        hf_log(LOG_WARNING, NULL, "the answerer does not let the listeners go, it is killed");
        hf_process_signal(supervisor->answerer.pidfd, SIGKILL);
        has_let_go(supervisor);
    }
    hf_reaper_forget(supervisor->reaper, supervisor->answerer.pid);
    hf_process_clear(&supervisor->dismissed);
    supervisor->dismissed = supervisor->answerer;
    supervisor->answerer = HF_PROCESS_NONE;
    forget(supervisor);
}

void hf_outage_await(HfSupervisor *supervisor)
{
    if (supervisor->dismissed.pidfd >= 0)
        wait_for(supervisor->dismissed.pidfd, POLLIN, END_MSEC);
    hf_process_clear(&supervisor->dismissed);
}
