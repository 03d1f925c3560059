/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/sock_diag.h"
#include "loop/reaper.h"
#include "parts/release/complaint.h"
#include "parts/release/side.h"
#include "run/supervisor.h"

#define LOOK_TIME   (10 * HF_USEC_PER_MSEC)  /* nothing tells when a queue is empty */
#define LAZY_TIME   (200 * HF_USEC_PER_MSEC) /* once no caller waits for it */
#define ANSWER_TIME (3 * HF_USEC_PER_SEC)    /* after which the caller is answered anyway */
#define CLOSE_TIME  HF_USEC_PER_SEC /* for a server that was asked to leave to stop accepting */

typedef struct HfRelease {
    HfSupervisor *supervisor;
    sd_event_source *timer;      /* for addresses */
    sd_event_source *stop_timer; /* for a stop */
    HfSideWatch *sides[HF_MACHINE_SLOTS];
    uint64_t asked[HF_MACHINE_SLOTS]; /* to leave: usec, CLOCK_MONOTONIC */
    uint64_t began;                   /* likewise */
    HfAction *answers;
    size_t n;
    size_t capacity;
    HfComplaint *complaint;
} HfRelease;

static bool plan_has(const HfPlan *plan, const HfListener *listener)
{
    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (plan->listeners[i] == listener)
            return true;
    return false;
}

static bool slot_has(const HfSupervisor *supervisor, unsigned slot, const HfListener *listener)
{
    const HfGeneration *generation = supervisor->generations[slot];

    return generation && plan_has(generation->plan, listener);
}

/* Do only leaving generations have it, and may we release it? */
static bool has_left(const HfSupervisor *supervisor, const HfListener *listener)
{
    if (listener->activated || listener->taken || plan_has(supervisor->current, listener) ||
        plan_has(supervisor->prepared, listener))
        return false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (slot_has(supervisor, i, listener) &&
            !hf_stage_leaves(supervisor->machine.generations[i].stage))
            return false;
    return hf_listener_can_be_released(listener) && !hf_listener_is_lost(listener);
}

/* php-fpm's workers accept until they are asked to leave. If accept(2) fails a worker leaves, and
 * its master, which is stopped or leaving, starts no other. Another server may not cope with such a
 * failure while it finishes requests: it gets time to close its copy first. */
static bool accepts(const HfRelease *release, unsigned slot)
{
    const HfSupervisor *supervisor = release->supervisor;
    HfStage stage = supervisor->machine.generations[slot].stage;

    if (supervisor->generations[slot]->plan->adapter->retires)
        return stage < HF_STAGE_RETIRE;
    return stage < HF_STAGE_STOP || hf_clock_monotonic() < release->asked[slot] + CLOSE_TIME;
}

static bool has_waiting(HfListener *listener)
{
    HfQueue queue;

    HF_EACH_SIDE (listener)
        if (hf_listener_queue(listener, side, &queue) >= 0 && queue.depth > 0)
            return true;
    return false;
}

/* Clients that wait at an unlinked path are still served. */
static bool can_release(const HfRelease *release, HfListener *listener)
{
    if (listener->inodes[listener->side].inode != 0)
        return true;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (slot_has(release->supervisor, i, listener) && accepts(release, i))
            return false;
    return !has_waiting(listener);
}

/* act: releases those with empty queues. Returns how many are left. */
static size_t survey_addresses(const HfRelease *release, bool act)
{
    const HfSupervisor *supervisor = release->supervisor;
    size_t left = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfPlan *plan = supervisor->generations[i] ? supervisor->generations[i]->plan : NULL;
        for (size_t j = 0; plan && j < plan->n_listeners; j++) {
            HfListener *listener = plan->listeners[j];
            if (!has_left(supervisor, listener))
                continue;
            if (!act || !can_release(release, listener)) {
                left++;
                continue;
            }
            const HfLogFields fields = {.listener = listener->label,
                                        .error = hf_listener_release(listener)};
            if (fields.error < 0)
                hf_log(LOG_WARNING, &fields, "%s stays in use until generation %llu is gone",
                       listener->label, (unsigned long long)supervisor->generations[i]->number);
        }
    }
    return left;
}

static void answer_all(HfRelease *release)
{
    const HfSupervisor *supervisor = release->supervisor;
    HF_CLEANUP_FREE HfAction *answers = HF_STEAL(release->answers);
    size_t n = release->n;

    release->n = release->capacity = 0;
    for (size_t i = 0; i < n; i++)
        HF_EACH_PART (supervisor, j, performed)
            supervisor->parts[j]->performed(supervisor->states[j], &answers[i]);
}

static int look_again(sd_event_source *timer, uint64_t usec)
{
    int r = sd_event_source_set_time_relative(timer, usec);

    return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int on_look_at_addresses(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfRelease *release = userdata;
    bool left = survey_addresses(release, true) > 0;

    if (!left || usec >= release->began + ANSWER_TIME)
        answer_all(release);
    return left ? look_again(source, release->n > 0 ? LOOK_TIME : LAZY_TIME) : 0;
}

static bool release_holds(void *state, const HfAction *answer)
{
    HfRelease *release = state;

    if (hf_complaint_holds(release->complaint, answer))
        return true;
    if (answer->outcome != HF_OUTCOME_DONE || release->n == HF_MACHINE_REQUESTS ||
        survey_addresses(release, false) == 0 ||
        hf_array_reserve(&release->answers, &release->capacity, release->n + 1, sizeof(*answer)) <
            0)
        return false;
    release->began = hf_clock_monotonic();
    release->answers[release->n++] = *answer;
    return true;
}

/* Starts watching for listeners that can be released. */
static void release_stepped(void *state)
{
    HfRelease *release = state;
    int enabled = SD_EVENT_OFF;

    if (survey_addresses(release, false) == 0 ||
        sd_event_source_get_enabled(release->timer, &enabled) < 0 ||
        (enabled == SD_EVENT_OFF && look_again(release->timer, LOOK_TIME) < 0))
        answer_all(release);
}

/* ---- before a stop ---- */

static bool somebody_waits(const HfSupervisor *supervisor)
{
    const HfPlan *plan = supervisor->current;

    for (size_t i = 0; plan && i < plan->n_listeners; i++)
        if (has_waiting(plan->listeners[i]))
            return true;
    return false;
}

static int on_look_at_queues(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfSupervisor *supervisor = userdata;

    (void)usec;
    if (!somebody_waits(supervisor) || look_again(source, LOOK_TIME) < 0)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED});
    return 0;
}

/* on: watches until the queues are empty. */
static void watch_queues(HfRelease *release, bool on)
{
    HfSupervisor *supervisor = release->supervisor;

    sd_event_source_set_enabled(release->stop_timer, SD_EVENT_OFF);
    if (!on)
        return;
    if (!somebody_waits(supervisor) || look_again(release->stop_timer, LOOK_TIME) < 0) {
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED});
        return;
    }
    hf_log(LOG_NOTICE, NULL,
           "asked to stop: connections that wait in a queue are served first, unless asked again");
}

/* ---- the part ---- */

static void release_detach(void *state)
{
    HfRelease *release = state;

    answer_all(release);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        release->sides[i] = hf_side_watch_free(release->sides[i]);
    release->timer = sd_event_source_disable_unref(release->timer);
    release->stop_timer = sd_event_source_disable_unref(release->stop_timer);
}

static void release_free(void *state)
{
    HfRelease *release = state;

    release_detach(state);
    hf_complaint_free(release->complaint);
    free(release->answers);
    free(state);
}

static int add_timer(HfRelease *release, sd_event_source **timer, sd_event_time_handler_t callback,
                     void *userdata)
{
    int r = sd_event_add_time(release->supervisor->loop, timer, CLOCK_MONOTONIC, 0,
                              HF_LOOP_ACCURACY(LOOK_TIME), callback, userdata);
    return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_OFF);
}

static int release_begin(HfSupervisor *supervisor, void **ret, HfText *error)
{
    HfRelease *release = calloc(1, sizeof(*release));

    (void)error;
    if (!release)
        return -ENOMEM;
    release->supervisor = supervisor;
    *ret = release;
    int r = hf_complaint_new(supervisor, &release->complaint);
    if (r >= 0)
        r = add_timer(release, &release->timer, on_look_at_addresses, release);
    return r < 0 ? r : add_timer(release, &release->stop_timer, on_look_at_queues, supervisor);
}

static void release_performed(void *state, const HfAction *action)
{
    HfRelease *release = state;

    hf_complaint_performed(release->complaint, action);
    if (action->type == HF_ACTION_SIGNAL && action->stage == HF_STAGE_STOP)
        release->asked[action->slot] = hf_clock_monotonic();
    if (action->type == HF_ACTION_WATCH_QUEUE)
        watch_queues(state, action->raised);
    else if (action->type == HF_ACTION_WATCH_SIDE)
        hf_side_watch(release->supervisor, action, &release->sides[action->slot]);
    else if (action->type == HF_ACTION_UPGRADE || action->type == HF_ACTION_END)
        answer_all(state);
}

const HfPart hf_part_release = {
    .name = "release",
    .begin = release_begin,
    .holds = release_holds,
    .performed = release_performed,
    .stepped = release_stepped,
    .detach = release_detach,
    .free = release_free,
};
