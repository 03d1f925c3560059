/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "loop/reaper.h"
#include "parts/events/events.h"
#include "run/members.h"

#define DOUBLINGS_MAX 7 /* of the time until a generation that is still there is recycled again */

typedef struct HfWatch {
    HfSupervisor *supervisor;
    sd_event_source *queues;
    sd_event_source *memory;
    uint64_t number; /* of the last generation that was too large */
    unsigned times;  /* how often that was posted: its replacements fail */
} HfWatch;

/* ---- queues ---- */

/* A queue of connections stays nearly full, or has room again. */
static const HfNoticeKind queue_high = {"queue-high", LOG_WARNING,
                                        "b557694dfbee42c18083c360b213d0c4"};
static const HfNoticeKind queue_normal = {"queue-normal", LOG_NOTICE,
                                          "8683fabfefa64350a41b48d0535487ee"};

static void look_at_queue(HfWatch *watch, HfListener *listener, unsigned side)
{
    HfNotices *notices = &hf_events_of(watch->supervisor)->notices;
    unsigned percent = (unsigned)watch->supervisor->settings->queue_warn;
    HF_CLEANUP_TEXT HfText text = {0};
    HfQueue queue;

    if (hf_listener_queue(listener, side, &queue) < 0)
        return;
    switch (hf_queue_alarm_step(&listener->alarms[side], queue.depth, queue.limit, percent)) {
    case HF_ALARM_RAISED:
        hf_text_addf(&text,
                     "the queue of %s stays above %u %%: %u of %u connections wait; once it is "
                     "full, more are refused or have to try again",
                     listener->label, percent, queue.depth, queue.limit);
        hf_notices_publish(notices, &queue_high, 0, "", hf_text_peek(&text));
        break;
    case HF_ALARM_CLEARED:
        hf_text_addf(&text, "the queue of %s has room again: %u of %u connections wait",
                     listener->label, queue.depth, queue.limit);
        hf_notices_publish(notices, &queue_normal, 0, "", hf_text_peek(&text));
        break;
    case HF_ALARM_UNCHANGED:
        break;
    }
}

static void arm_queues(HfWatch *watch)
{
    uint64_t every = watch->supervisor->settings->queue_every;

    if (every == HF_USEC_INFINITY) {
        sd_event_source_set_enabled(watch->queues, SD_EVENT_OFF);
        return;
    }
    int r = sd_event_source_set_time_relative(watch->queues, every);
    if (r >= 0)
        r = sd_event_source_set_time_accuracy(watch->queues, HF_LOOP_ACCURACY(every));
    if (r >= 0)
        r = sd_event_source_set_enabled(watch->queues, SD_EVENT_ONESHOT);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r}, "the queues are no longer watched");
}

static int on_queues_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfWatch *watch = userdata;
    const HfPlan *plan = watch->supervisor->current;

    (void)source;
    (void)usec;
    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        for (unsigned side = 0; side < HF_SIDES; side++)
            look_at_queue(watch, plan->listeners[i], side);
    arm_queues(watch);
    return 0;
}

/* ---- memory ---- */

static void post_oversize(HfWatch *watch, const HfGeneration *generation, uint64_t bytes)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "generation %llu uses ", (unsigned long long)generation->number);
    hf_text_add_bytes_of(&text, bytes);
    hf_text_add(&text, " of memory, more than ");
    hf_text_add_bytes_of(&text, watch->supervisor->settings->recycle_memory);
    hf_text_add(&text, "; it is recycled");
    hf_log(LOG_NOTICE, &(HfLogFields){.generation = generation->number}, "%s", hf_text_peek(&text));
    if (watch->number != generation->number)
        watch->times = 0;
    if (watch->times < DOUBLINGS_MAX)
        watch->times++;
    watch->number = generation->number;
    hf_supervisor_post(watch->supervisor, &(HfEvent){.type = HF_EVENT_OVERSIZE,
                                                     .slot = generation->slot,
                                                     .number = generation->number});
}

static void check_memory(HfWatch *watch)
{
    const HfSupervisor *supervisor = watch->supervisor;
    HfGeneration *active = hf_supervisor_active(supervisor);
    uint64_t processes;
    uint64_t bytes;

    if (!active || supervisor->machine.phase != HF_PHASE_IDLE)
        return;
    int r = hf_events_measure(hf_events_of(supervisor), active, &processes, &bytes);
    if (r < 0) {
        hf_log(LOG_WARNING, &(HfLogFields){.generation = active->number, .error = r},
               "the memory of generation %llu cannot be measured",
               (unsigned long long)active->number);
    } else if (bytes > supervisor->settings->recycle_memory) {
        post_oversize(watch, active, bytes);
    }
}

static void arm_memory(HfWatch *watch)
{
    const HfSettings *settings = watch->supervisor->settings;
    const HfGeneration *active = hf_supervisor_active(watch->supervisor);
    bool again = active && watch->number == active->number;
    uint64_t period = settings->recycle_check << (again ? watch->times : 0);

    if (settings->recycle_memory == 0) {
        sd_event_source_set_enabled(watch->memory, SD_EVENT_OFF);
        return;
    }
    int r = sd_event_source_set_time_relative(watch->memory, period);
    if (r >= 0)
        r = sd_event_source_set_time_accuracy(watch->memory, HF_LOOP_ACCURACY(period));
    if (r >= 0)
        r = sd_event_source_set_enabled(watch->memory, SD_EVENT_ONESHOT);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r}, "the memory is no longer watched");
}

static int on_memory_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfWatch *watch = userdata;

    (void)source;
    (void)usec;
    check_memory(watch);
    arm_memory(watch);
    return 0;
}

/* ---- the part ---- */

static void watch_clear(void *state)
{
    HfWatch *watch = state;

    sd_event_source_disable_unref(watch->queues);
    sd_event_source_disable_unref(watch->memory);
}

static int add_timer(HfWatch *watch, sd_event_source **timer, sd_event_time_handler_t callback)
{
    int r =
        sd_event_add_time(watch->supervisor->loop, timer, CLOCK_MONOTONIC, 0, 0, callback, watch);
    return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_OFF);
}

static int watch_begin(void *state, HfText *error)
{
    HfWatch *watch = state;

    (void)error;
    int r = add_timer(watch, &watch->queues, on_queues_time);
    return r < 0 ? r : add_timer(watch, &watch->memory, on_memory_time);
}

/* The settings may have changed. */
static void apply_settings(HfWatch *watch)
{
    arm_queues(watch);
    arm_memory(watch);
}

static int watch_begun(void *state, HfText *error)
{
    const HfWatch *watch = state;

    (void)error;
    if (watch->supervisor->current)
        apply_settings(state);
    return 0;
}

static void watch_performed(void *state, const HfAction *action)
{
    if (action->type == HF_ACTION_COMMIT)
        apply_settings(state);
}

static void watch_detach(void *state)
{
    const HfWatch *watch = state;

    sd_event_source_set_enabled(watch->memory, SD_EVENT_OFF);
}

const HfPart hf_part_watch = {
    .name = "watch",
    .state_size = sizeof(HfWatch),
    .begin = watch_begin,
    .begun = watch_begun,
    .performed = watch_performed,
    .detach = watch_detach,
    .clear = watch_clear,
};
