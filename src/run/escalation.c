#include "run/escalation.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "run/members.h"
#include "run/reaper.h"

#define TERM_TIMEOUT (5 * HF_USEC_PER_SEC)
#define KILL_TIMEOUT (10 * HF_USEC_PER_SEC) /* then it is stuck in the kernel */

typedef struct Leaving {
    HfProcess process; /* its pidfd is borrowed */
    sd_event_source *source;
    bool gone;
} Leaving;

struct HfEscalation {
    const char *who;
    int signal; /* that was sent last */
    HfEscalationCallback callback;
    void *userdata;
    sd_event_source *timer;
    size_t n_left;
    size_t n;
    Leaving list[];
};

HfEscalation *hf_escalation_free(HfEscalation *ladder)
{
    if (!ladder)
        return NULL;
    sd_event_source_disable_unref(ladder->timer);
    for (size_t i = 0; i < ladder->n; i++)
        sd_event_source_disable_unref(ladder->list[i].source);
    free(ladder);
    return NULL;
}

static void tell(const HfEscalation *ladder)
{
    HF_CLEANUP_FREE HfProcess *left = calloc(ladder->n_left, sizeof(*left));
    HF_CLEANUP_TEXT HfText text = {0};
    size_t n = 0;

    for (size_t i = 0; left && i < ladder->n; i++)
        if (!ladder->list[i].gone)
            left[n++] = ladder->list[i].process;
    hf_members_describe(left, n, &text);
    hf_log(ladder->signal == SIGKILL || ladder->signal == SIGTERM ? LOG_WARNING : LOG_NOTICE, NULL,
           "%s and sent SIG%s, %zu: %s", ladder->who, sigabbrev_np(ladder->signal), ladder->n_left,
           hf_text_peek(&text));
}

static void send_all(HfEscalation *ladder, int signal)
{
    ladder->signal = signal;
    tell(ladder);
    for (size_t i = 0; i < ladder->n; i++)
        if (!ladder->list[i].gone)
            hf_process_signal(ladder->list[i].process.pidfd, signal);
}

static int on_exit_of_one(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfEscalation *ladder = userdata;

    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    for (size_t i = 0; i < ladder->n; i++)
        if (ladder->list[i].process.pidfd == fd)
            ladder->list[i].gone = true;
    if (--ladder->n_left == 0)
        ladder->callback(true, ladder->userdata);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfEscalation *ladder = userdata;

    if (ladder->signal == SIGKILL) {
        hf_log(LOG_ERR, NULL, "%s, and does not end: it is left", ladder->who);
        ladder->callback(false, ladder->userdata);
        return 0;
    }
    send_all(ladder, ladder->signal == SIGTERM ? SIGKILL : SIGTERM);
    usec = ladder->signal == SIGKILL ? KILL_TIMEOUT : TERM_TIMEOUT;
    sd_event_source_set_time_relative(source, usec);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

void hf_escalation_hurry(HfEscalation *ladder)
{
    sd_event_source_set_time_relative(ladder->timer, 0);
}

static int watch(HfEscalation *ladder, sd_event *loop, uint64_t patience)
{
    int r = sd_event_add_time_relative(loop, &ladder->timer, CLOCK_MONOTONIC, patience,
                                       HF_LOOP_ACCURACY(patience), on_timer, ladder);

    for (size_t i = 0; r >= 0 && i < ladder->n; i++) {
        Leaving *one = &ladder->list[i];
        r = sd_event_add_io(loop, &one->source, one->process.pidfd, EPOLLIN, on_exit_of_one,
                            ladder);
    }
    return r;
}

int hf_escalation_start(sd_event *loop, const char *who, const HfProcess *processes, size_t n,
                        int signal, uint64_t patience, HfEscalationCallback callback,
                        void *userdata, HfEscalation **ret)
{
    HfEscalation *ladder = calloc(1, sizeof(*ladder) + n * sizeof(*ladder->list));

    if (!ladder)
        return -ENOMEM;
    ladder->who = who;
    ladder->callback = callback;
    ladder->userdata = userdata;
    ladder->n = ladder->n_left = n;
    for (size_t i = 0; i < n; i++)
        ladder->list[i].process = processes[i];
    int r = watch(ladder, loop, patience);
    if (r < 0) {
        hf_escalation_free(ladder);
        return r;
    }
    send_all(ladder, signal);
    *ret = ladder;
    return 0;
}
