#include "run/stop_delay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "format/quantity.h"
#include "kernel/queue.h"
#include "run/loop.h"

#define LOOK_TIME (10 * HF_USEC_PER_MSEC) /* nobody tells when a queue becomes empty */
#define ASKED_MAX 2                       /* the second ends the wait */

struct HfStopDelay {
    HfSupervisor *supervisor;
    sd_event_source *timer;
    bool delayed;   /* --stop-delay is over, the queues are looked at */
    uint64_t until; /* at most, then; CLOCK_MONOTONIC */
    HfEvent asked[ASKED_MAX];
    size_t n;
};

HfStopDelay *hf_stop_delay_free(HfStopDelay *farewell)
{
    if (!farewell)
        return NULL;
    sd_event_source_disable_unref(farewell->timer);
    free(farewell);
    return NULL;
}

void hf_stop_delay_cut_short(HfSupervisor *supervisor)
{
    HfStopDelay *farewell = supervisor->farewell;

    for (size_t i = 0; farewell && i < farewell->n; i++)
        hf_supervisor_post(supervisor, &farewell->asked[i]);
    supervisor->farewell = hf_stop_delay_free(farewell);
}

static bool somebody_waits(const HfSupervisor *supervisor)
{
    const HfPlan *plan = supervisor->current;
    HfQueue queue;

    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (hf_listener_queue(plan->listeners[i], &queue) >= 0 && queue.depth > 0)
            return true;
    return false;
}

static int look_again(HfStopDelay *farewell)
{
    int r = sd_event_source_set_time_relative(farewell->timer, LOOK_TIME);

    return r < 0 ? r : sd_event_source_set_enabled(farewell->timer, SD_EVENT_ONESHOT);
}

/* Half of the time that requests have: the other half is for those that were taken last. */
static void begin_to_look(HfStopDelay *farewell)
{
    farewell->delayed = true;
    farewell->until = hf_clock_monotonic() + farewell->supervisor->settings->drain_timeout / 2;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfStopDelay *farewell = userdata;
    HfSupervisor *supervisor = farewell->supervisor;

    (void)source;
    (void)usec;
    if (!farewell->delayed)
        begin_to_look(farewell);
    if (!hf_supervisor_active(supervisor) || hf_clock_monotonic() >= farewell->until ||
        !somebody_waits(supervisor) || look_again(farewell) < 0)
        hf_stop_delay_cut_short(supervisor);
    return 0;
}

static void tell(uint64_t delay)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_add_time(&text, delay);
    if (delay > 0)
        hf_log(LOG_NOTICE, NULL,
               "asked to stop: the service goes on for %s (--stop-delay), unless asked again",
               hf_text_peek(&text));
    else
        hf_log(LOG_NOTICE, NULL,
               "asked to stop: connections that wait in a queue are served first, unless asked "
               "again");
}

static int begin(HfSupervisor *supervisor, HfStopDelay **ret)
{
    uint64_t delay = supervisor->settings->stop_delay;
    HfStopDelay *farewell = calloc(1, sizeof(*farewell));

    if (!farewell)
        return -ENOMEM;
    farewell->supervisor = supervisor;
    if (delay == 0)
        begin_to_look(farewell);
    uint64_t first = delay > 0 ? delay : LOOK_TIME;
    int r = sd_event_add_time_relative(supervisor->loop, &farewell->timer, CLOCK_MONOTONIC, first,
                                       HF_LOOP_ACCURACY(first), on_timer, farewell);
    if (r < 0) {
        hf_stop_delay_free(farewell);
        return r;
    }
    *ret = farewell;
    return 0;
}

static bool has_to_wait(const HfSupervisor *supervisor)
{
    return hf_supervisor_active(supervisor) && supervisor->machine.phase != HF_PHASE_STOPPING &&
           (supervisor->settings->stop_delay > 0 || somebody_waits(supervisor));
}

void hf_stop_delay_ask(HfSupervisor *supervisor, const HfEvent *event)
{
    HfStopDelay *farewell = supervisor->farewell;

    if (!farewell && (!has_to_wait(supervisor) || begin(supervisor, &farewell) < 0)) {
        hf_supervisor_post(supervisor, event);
        return;
    }
    bool again = supervisor->farewell != NULL;
    bool hurries = again && farewell->delayed;
    supervisor->farewell = farewell;
    if (!again)
        tell(supervisor->settings->stop_delay);
    /* during the delay a second signal only ends that; a caller always has its answer */
    if (!again || hurries || event->id != 0)
        farewell->asked[farewell->n++] = *event;
    if (again)
        hf_stop_delay_cut_short(supervisor);
}
