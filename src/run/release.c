#include "run/release.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/reaper.h"
#include "run/part.h"

#define LOOK_TIME   (10 * HF_USEC_PER_MSEC)
#define LAZY_TIME   (200 * HF_USEC_PER_MSEC) /* once nobody waits for it */
#define ANSWER_TIME (3 * HF_USEC_PER_SEC)    /* then it is answered all the same */

struct HfRelease {
    HfSupervisor *supervisor;
    sd_event_source *timer;
    uint64_t began; /* usec, CLOCK_MONOTONIC */
    HfAction answers[HF_MACHINE_REQUESTS];
    size_t n;
};

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

/* Only generations that leave have it, and it is ours to let go. A server whose accept(2) fails
 * while it leaves may take that badly; php-fpm's workers leave. */
static bool has_left(const HfSupervisor *supervisor, const HfListener *listener)
{
    if (listener->received || listener->taken || plan_has(supervisor->current, listener) ||
        plan_has(supervisor->prepared, listener))
        return false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (slot_has(supervisor, i, listener) &&
            (supervisor->machine.generations[i].stage < HF_STAGE_SETTLE ||
             !supervisor->generations[i]->plan->adapter->retires))
            return false;
    return hf_listener_can_be_released(listener) && !hf_listener_is_lost(listener);
}

/* Workers accept until they are asked to leave. Their master respawns none that leaves because its
 * accept(2) fails: it is stopped, or has been asked to leave before. */
static bool can_let_go(const HfSupervisor *supervisor, HfListener *listener)
{
    HfQueue queue;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (slot_has(supervisor, i, listener) &&
            supervisor->machine.generations[i].stage < HF_STAGE_RETIRE)
            return false;
    return hf_listener_queue(listener, &queue) >= 0 && queue.depth == 0;
}

/* release: those that nobody waits at. Returns how many are left. */
static size_t look_at_all(HfSupervisor *supervisor, bool release)
{
    size_t left = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfPlan *plan = supervisor->generations[i] ? supervisor->generations[i]->plan : NULL;
        for (size_t j = 0; plan && j < plan->n_listeners; j++) {
            HfListener *listener = plan->listeners[j];
            if (!has_left(supervisor, listener))
                continue;
            if (!release || !can_let_go(supervisor, listener)) {
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

void hf_release_answer(HfSupervisor *supervisor)
{
    HfRelease *release = supervisor->release;
    size_t n = release ? release->n : 0;

    if (release)
        release->n = 0;
    for (size_t i = 0; i < n; i++)
        HF_EACH_PART (supervisor, j, performed)
            supervisor->parts[j]->performed(supervisor->states[j], &release->answers[i]);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfRelease *release = userdata;
    HfSupervisor *supervisor = release->supervisor;
    bool left = look_at_all(supervisor, true) > 0;

    if (!left || usec >= release->began + ANSWER_TIME)
        hf_release_answer(supervisor);
    if (!left)
        return 0;
    uint64_t next = release->n > 0 ? LOOK_TIME : LAZY_TIME;
    int r = sd_event_source_set_time_relative(source, next);
    return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Returns NULL without memory: then the address is free once its last generation is gone. */
static HfRelease *release_of(HfSupervisor *supervisor)
{
    if (supervisor->release)
        return supervisor->release;
    HfRelease *release = calloc(1, sizeof(*release));
    if (!release)
        return NULL;
    release->supervisor = supervisor;
    if (sd_event_add_time(supervisor->loop, &release->timer, CLOCK_MONOTONIC, 0,
                          HF_LOOP_ACCURACY(LOOK_TIME), on_look, release) < 0 ||
        sd_event_source_set_enabled(release->timer, SD_EVENT_OFF) < 0)
        return hf_release_free(release);
    return supervisor->release = release;
}

bool hf_release_holds(HfSupervisor *supervisor, const HfAction *answer)
{
    if (answer->outcome != HF_OUTCOME_DONE || look_at_all(supervisor, false) == 0)
        return false;
    HfRelease *release = release_of(supervisor);
    if (!release || release->n == HF_MACHINE_REQUESTS)
        return false;
    release->began = hf_clock_monotonic();
    release->answers[release->n++] = *answer;
    return true;
}

void hf_release_look(HfSupervisor *supervisor)
{
    int enabled = SD_EVENT_OFF;

    if (look_at_all(supervisor, false) == 0) {
        hf_release_answer(supervisor);
        return;
    }
    HfRelease *release = release_of(supervisor);
    if (!release || sd_event_source_get_enabled(release->timer, &enabled) < 0 ||
        enabled != SD_EVENT_OFF)
        return;
    if (sd_event_source_set_time_relative(release->timer, LOOK_TIME) < 0 ||
        sd_event_source_set_enabled(release->timer, SD_EVENT_ONESHOT) < 0)
        hf_release_answer(supervisor);
}

HfRelease *hf_release_free(HfRelease *release)
{
    if (!release)
        return NULL;
    sd_event_source_disable_unref(release->timer);
    free(release);
    return NULL;
}
