#include "run/stop_delay.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "kernel/queue.h"
#include "loop/reaper.h"

#define LOOK_TIME (10 * HF_USEC_PER_MSEC)

struct HfStopDelay {
    HfSupervisor *supervisor;
    sd_event_source *timer;
};

HfStopDelay *hf_stop_delay_free(HfStopDelay *delay)
{
    if (!delay)
        return NULL;
    sd_event_source_disable_unref(delay->timer);
    free(delay);
    return NULL;
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

static int look_again(HfStopDelay *delay)
{
    int r = sd_event_source_set_time_relative(delay->timer, LOOK_TIME);

    return r < 0 ? r : sd_event_source_set_enabled(delay->timer, SD_EVENT_ONESHOT);
}

static void queue_served(HfSupervisor *supervisor)
{
    supervisor->farewell = hf_stop_delay_free(supervisor->farewell);
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED});
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfStopDelay *delay = userdata;

    (void)source;
    (void)usec;
    if (!somebody_waits(delay->supervisor) || look_again(delay) < 0)
        queue_served(delay->supervisor);
    return 0;
}

static int begin_to_look(HfSupervisor *supervisor)
{
    HfStopDelay *delay = calloc(1, sizeof(*delay));

    if (!delay)
        return -ENOMEM;
    supervisor->farewell = delay;
    delay->supervisor = supervisor;
    return sd_event_add_time_relative(supervisor->loop, &delay->timer, CLOCK_MONOTONIC, LOOK_TIME,
                                      HF_LOOP_ACCURACY(LOOK_TIME), on_look, delay);
}

void hf_stop_delay_watch(HfSupervisor *supervisor, bool on)
{
    supervisor->farewell = hf_stop_delay_free(supervisor->farewell);
    if (!on)
        return;
    if (!somebody_waits(supervisor) || begin_to_look(supervisor) < 0) {
        queue_served(supervisor);
        return;
    }
    hf_log(LOG_NOTICE, NULL,
           "asked to stop: connections that wait in a queue are served first, unless asked again");
}
