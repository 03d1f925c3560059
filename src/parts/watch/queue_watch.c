#include "parts/watch/queue_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "parts/events/events.h"
#include "run/loop.h"

struct HfQueueWatch {
    HfSupervisor *supervisor;
    sd_event_source *timer;
};

static void look_at(HfQueueWatch *queuewatch, HfListener *held)
{
    HfNotices *notices = &hf_events_of(queuewatch->supervisor)->notices;
    unsigned percent = (unsigned)queuewatch->supervisor->settings->queue_warn;
    HF_CLEANUP_TEXT HfText text = {0};
    HfQueue queue;

    if (hf_listener_queue(held, &queue) < 0)
        return;
    switch (hf_queue_alarm_step(&held->alarm, queue.depth, queue.limit, percent)) {
    case HF_ALARM_RAISED:
        hf_text_addf(&text,
                     "the queue of %s stays above %u %%: %u of %u connections wait; what comes "
                     "beyond is refused or tried again",
                     held->label, percent, queue.depth, queue.limit);
        hf_notices_publish(notices, HF_NOTICE_QUEUE_HIGH, LOG_WARNING, 0, "", hf_text_peek(&text));
        break;
    case HF_ALARM_CLEARED:
        hf_text_addf(&text, "the queue of %s has room again: %u of %u connections wait",
                     held->label, queue.depth, queue.limit);
        hf_notices_publish(notices, HF_NOTICE_QUEUE_NORMAL, LOG_NOTICE, 0, "", hf_text_peek(&text));
        break;
    case HF_ALARM_UNCHANGED:
        break;
    }
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfQueueWatch *queuewatch = userdata;
    const HfPlan *plan = queuewatch->supervisor->current;

    (void)source;
    (void)usec;
    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        look_at(queuewatch, plan->listeners[i]);
    hf_queue_watch_apply(queuewatch);
    return 0;
}

int hf_queue_watch_new(HfSupervisor *supervisor, HfQueueWatch **ret)
{
    HfQueueWatch *queuewatch = calloc(1, sizeof(*queuewatch));
    if (!queuewatch)
        return -ENOMEM;
    queuewatch->supervisor = supervisor;
    int r = sd_event_add_time(supervisor->loop, &queuewatch->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
                              queuewatch);
    if (r >= 0)
        r = sd_event_source_set_enabled(queuewatch->timer, SD_EVENT_OFF);
    if (r < 0) {
        hf_queue_watch_free(queuewatch);
        return r;
    }
    *ret = queuewatch;
    return 0;
}

void hf_queue_watch_apply(HfQueueWatch *queuewatch)
{
    uint64_t every = queuewatch->supervisor->settings->queue_every;

    if (every == HF_USEC_INFINITY) {
        sd_event_source_set_enabled(queuewatch->timer, SD_EVENT_OFF);
        return;
    }
    int r = sd_event_source_set_time_relative(queuewatch->timer, every);
    if (r >= 0)
        r = sd_event_source_set_time_accuracy(queuewatch->timer, HF_LOOP_ACCURACY(every));
    if (r >= 0)
        r = sd_event_source_set_enabled(queuewatch->timer, SD_EVENT_ONESHOT);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "the queues are not looked at any more");
    }
}

HfQueueWatch *hf_queue_watch_free(HfQueueWatch *queuewatch)
{
    if (!queuewatch)
        return NULL;
    sd_event_source_disable_unref(queuewatch->timer);
    free(queuewatch);
    return NULL;
}
