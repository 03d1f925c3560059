/* The answerer as the supervisor keeps it: one at most, ended before it can be missed. */
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
#include "run/supervisor.h"

#define RETRY_AFTER_SECONDS 10
#define PATIENCE_MSEC       1000
#define END_MSEC            3000

typedef struct HfOutage {
    HfSupervisor *supervisor;
    HfProcess answerer;  /* in an outage */
    HfProcess dismissed; /* the last answerer that was told to stop: it ends what it has begun */
    int released;        /* hangs up when it has let the listeners go; -1 without one */
    bool answered;       /* when the program was to be replaced */
} HfOutage;

static void forget_answerer(HfOutage *outage)
{
    outage->released = hf_fd_close(outage->released);
    hf_process_clear(&outage->answerer);
}

static void answerer_gone(HfOutage *outage)
{
    forget_answerer(outage);
    hf_supervisor_post(outage->supervisor, &(HfEvent){.type = HF_EVENT_FALLBACK_GONE});
}

static void on_exit_of_answerer(const siginfo_t *info, void *userdata)
{
    (void)info;
    hf_log(LOG_ERR, NULL, "the answerer ended unasked; connections wait in the queue");
    answerer_gone(userdata);
}

static int start_answerer(HfOutage *outage)
{
    const HfPlan *plan = outage->supervisor->current;
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
    outage->released = ends[0];
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
    int r = hf_fallback_start(&request, &outage->answerer);
    if (r < 0)
        return r;
    r = hf_reaper_watch(outage->supervisor->reaper, outage->answerer.pid, on_exit_of_answerer,
                        outage);
    if (r < 0)
        hf_process_signal(outage->answerer.pidfd, SIGKILL);
    return r;
}

static void begin_answering(HfOutage *outage)
{
    if (outage->supervisor->current->n_listeners == 0)
        return;
    int r = start_answerer(outage);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "the answerer cannot be started; connections wait in the queue");
        answerer_gone(outage);
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
static bool has_let_go(const HfOutage *outage)
{
    return wait_for(outage->released, 0, PATIENCE_MSEC);
}

static void end_answering(HfOutage *outage)
{
    if (outage->answerer.pid <= 0)
        return;
    hf_process_signal(outage->answerer.pidfd, SIGTERM);
    if (!has_let_go(outage)) {
        hf_log(LOG_WARNING, NULL, "the answerer does not let the listeners go, it is killed");
        hf_process_signal(outage->answerer.pidfd, SIGKILL);
        has_let_go(outage);
    }
    hf_reaper_forget(outage->supervisor->reaper, outage->answerer.pid);
    hf_process_clear(&outage->dismissed);
    outage->dismissed = outage->answerer;
    outage->answerer = HF_PROCESS_NONE;
    forget_answerer(outage);
}

static void await_dismissed(HfOutage *outage)
{
    if (outage->dismissed.pidfd >= 0)
        wait_for(outage->dismissed.pidfd, POLLIN, END_MSEC);
    hf_process_clear(&outage->dismissed);
}

static int outage_begin(HfSupervisor *supervisor, void **ret, HfText *error)
{
    HfOutage *outage = malloc(sizeof(*outage));

    (void)error;
    if (!outage)
        return -ENOMEM;
    *outage = (HfOutage){supervisor, HF_PROCESS_NONE, HF_PROCESS_NONE, -1, false};
    *ret = outage;
    return 0;
}

static void outage_limit(const HfSettings *settings, HfMachineLimits *limits)
{
    limits->busy_after = settings->busy_after;
}

static void outage_performed(void *state, const HfAction *action)
{
    if (action->type != HF_ACTION_FALLBACK)
        return;
    if (action->raised)
        begin_answering(state);
    else
        end_answering(state);
}

static void outage_replacing(void *state, bool going)
{
    HfOutage *outage = state;

    if (going)
        outage->answered = outage->answerer.pid > 0;
    if (going)
        end_answering(outage);
    else if (outage->answered)
        hf_supervisor_post(outage->supervisor, &(HfEvent){.type = HF_EVENT_FALLBACK_GONE});
}

static void outage_let_go(void *state)
{
    end_answering(state);
}

static void outage_free(void *state)
{
    await_dismissed(state);
    free(state);
}

const HfPart hf_part_fallback = {
    .name = "fallback",
    .mode = HF_ANSWERER_OPTION,
    .mode_main = hf_fallback_main,
    .limit = outage_limit,
    .begin = outage_begin,
    .performed = outage_performed,
    .replacing = outage_replacing,
    .let_go = outage_let_go,
    .free = outage_free,
};
