/* SPDX-License-Identifier: MIT */
#include "parts/trial/warm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "parts/trial/warm_parts.h"

#define PAUSE         (500 * HF_USEC_PER_MSEC) /* for scripts to grow older */
#define ROUNDS_MAX    40U
#define RESTORE_TRIES 10U

bool hf_warm_has_work(const HfSettings *settings)
{
    const char *what;

    for (char *const *entry = settings->warm; entry && *entry; entry++)
        if (hf_warm_kind(*entry, &what) != HF_WARM_NONE)
            return true;
    return hf_adapter_of(settings)->warm_script && !hf_settings_warms(settings, HF_WARM_NONE);
}

static void stop_requests(HfWarmUp *warm)
{
    for (size_t i = 0; i < warm->n_slots; i++)
        warm->slots[i].request = hf_request_abort(warm->slots[i].request);
    warm->running = 0;
}

static void warm_free(HfWarmUp *warm)
{
    stop_requests(warm);
    for (size_t i = 0; i < warm->n_slots; i++)
        hf_text_clear(&warm->slots[i].body);
    free(warm->slots);
    hf_warm_clear_targets(warm);
    hf_warm_clear_pages(warm);
    hf_text_clear(&warm->why);
    sd_event_source_disable_unref(warm->pump);
    sd_event_source_disable_unref(warm->deadline);
    sd_event_source_disable_unref(warm->pause);
    free(warm);
}

HfWarmUp *hf_warm_abort(HfWarmUp *warm)
{
    if (!warm)
        return NULL;
    warm_free(warm);
    return NULL;
}

/* ---- the end ---- */

static void add_report(const HfWarmUp *warm, HfText *text)
{
    const HfWarmFigures *warmed = &warm->warmed;
    bool any = warmed->listed > 0 || warmed->requests > 0;

    hf_text_add(text, any ? "warmed " : "had nothing to warm");
    if (warmed->listed > 0)
        hf_text_addf(text, "%llu of %llu scripts", (unsigned long long)warmed->scripts,
                     (unsigned long long)warmed->listed);
    if (warmed->listed > 0 && warmed->requests > 0)
        hf_text_add(text, " and ");
    if (warmed->requests > 0)
        hf_text_addf(text, "by %llu requests", (unsigned long long)warmed->requests);
    if (warmed->failures > 0)
        hf_text_addf(text, " (%llu failed)", (unsigned long long)warmed->failures);
    if (any) {
        hf_text_add(text, " in ");
        hf_text_add_time(text, warmed->time);
    }
    if (warm->late)
        hf_text_add(text, ", all that --warm-timeout allows");
    if (any && warm->lowered < 0 && warm->lowered != -EAGAIN)
        hf_text_addf(text, "; its priority could not be lowered (%s)", strerror(-warm->lowered));
    if (warm->why.length > 0)
        hf_text_addf(text, "; %s", hf_text_peek(&warm->why));
}

static void conclude_warm(HfWarmUp *warm)
{
    HF_CLEANUP_TEXT HfText report = {0};
    HfWarmCallback callback = warm->callback;
    void *userdata = warm->userdata;

    warm->warmed.time = hf_clock_monotonic() - warm->began;
    add_report(warm, &report);
    const HfWarmed warmed = {warm->warmed, hf_text_peek(&report)};
    warm_free(warm);
    callback(&warmed, userdata);
}

/* Time is up: requests in progress are abandoned, and come to their own end. */
static void give_up(HfWarmUp *warm)
{
    stop_requests(warm);
    warm->paused = false;
    warm->late = warm->phase != HF_WARM_OVER;
    warm->phase = HF_WARM_OVER;
    warm->rounds = 0;
}

/* ---- the phases ---- */

static bool begin_next(HfWarmSlot *slot)
{
    switch (slot->warm->phase) {
    case HF_WARM_LIST:
        return hf_warm_begin_list(slot);
    case HF_WARM_ASKED:
        return hf_warm_begin_recent(slot);
    case HF_WARM_COMPILE:
        return hf_warm_begin_batch(slot);
    case HF_WARM_PAGES:
        return hf_warm_begin_page(slot);
    case HF_WARM_COMMANDS:
        return hf_warm_begin_command(slot);
    case HF_WARM_WAIT:
    case HF_WARM_OVER:
    default:
        return false;
    }
}

static void fill_slots(HfWarmUp *warm)
{
    for (size_t i = 0; i < warm->n_slots; i++) {
        if (warm->slots[i].request)
            continue;
        if (!begin_next(&warm->slots[i]))
            return;
        warm->running++;
    }
}

/* Queues scripts again that were too new. Returns whether there are any. */
static bool try_again(HfWarmUp *warm)
{
    bool any = false;

    for (size_t i = 0; i < warm->n_targets; i++) {
        HfWarmTarget *target = &warm->targets[i];
        if (target->again.length == 0)
            continue;
        free(target->list);
        target->list = NULL;
        hf_text_take(&target->again, &target->list);
        target->next = target->list;
        any = true;
    }
    return any && ++warm->rounds < ROUNDS_MAX;
}

static void pump(HfWarmUp *warm)
{
    if (warm->paused)
        return;
    while (warm->running == 0 && warm->phase < HF_WARM_OVER) {
        fill_slots(warm);
        if (warm->running > 0 || warm->paused)
            return;
        warm->next = 0;
        if (++warm->phase == HF_WARM_OVER)
            warm->rounds = 0;
        if (warm->phase == HF_WARM_WAIT && try_again(warm)) {
            hf_warm_pause(warm, PAUSE);
            return;
        }
    }
    fill_slots(warm);
    if (warm->phase < HF_WARM_OVER)
        return;
    sd_event_source_set_enabled(warm->deadline, SD_EVENT_OFF);
    if (hf_priority_restore(warm->priority) == -EAGAIN && warm->rounds++ < RESTORE_TRIES)
        hf_warm_pause(warm, HF_PRIORITY_PAUSE);
    else
        conclude_warm(warm);
}

static void pump_later(HfWarmUp *warm)
{
    sd_event_source_set_enabled(warm->pump, SD_EVENT_ONESHOT);
}

static int on_pump(sd_event_source *source, void *userdata)
{
    (void)source;
    pump(userdata);
    return 0;
}

static int on_pause(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfWarmUp *warm = userdata;

    (void)source;
    (void)usec;
    warm->paused = false;
    if (warm->phase == HF_WARM_WAIT)
        warm->phase = HF_WARM_COMPILE;
    pump_later(warm);
    return 0;
}

static int on_warm_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    give_up(userdata);
    pump_later(userdata);
    return 0;
}

void hf_warm_lose(HfWarmUp *warm, const HfGeneration *generation)
{
    if (warm->before != generation)
        return;
    warm->before = NULL;
    if (warm->phase > HF_WARM_ASKED)
        return;
    stop_requests(warm);
    warm->phase = HF_WARM_COMPILE;
    pump_later(warm);
}

/* ---- the start ---- */

static size_t parallel(const HfSettings *settings)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (settings->warm_parallel > 0)
        return (size_t)settings->warm_parallel;
    return cores >= 2 ? (size_t)cores / 2 : 1;
}

static int make_sources(HfWarmUp *warm)
{
    sd_event *loop = warm->supervisor->loop;
    uint64_t timeout = warm->settings->warm_timeout;

    int r = sd_event_add_defer(loop, &warm->pump, on_pump, warm);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &warm->deadline, CLOCK_MONOTONIC, timeout,
                                       HF_LOOP_ACCURACY(timeout), on_warm_deadline, warm);
    if (r >= 0)
        r = sd_event_add_time_relative(loop, &warm->pause, CLOCK_MONOTONIC, timeout,
                                       HF_USEC_PER_MSEC, on_pause, warm);
    if (r >= 0)
        r = sd_event_source_set_enabled(warm->pause, SD_EVENT_OFF);
    return r;
}

static int make_slots(HfWarmUp *warm)
{
    size_t n = parallel(warm->settings);

    warm->slots = hf_allocate(n, sizeof(*warm->slots));
    if (!warm->slots)
        return -ENOMEM;
    for (; warm->n_slots < n; warm->n_slots++)
        warm->slots[warm->n_slots].warm = warm;
    return 0;
}

int hf_warm_start(HfSupervisor *supervisor, const HfSettings *settings, const HfGeneration *before,
                  const HfGeneration *generation, HfPriority *priority, HfWarmCallback callback,
                  void *userdata, HfWarmUp **ret)
{
    HfWarmUp *warm = hf_allocate(1, sizeof(*warm));
    if (!warm)
        return -ENOMEM;
    *warm = (HfWarmUp){
        .supervisor = supervisor,
        .settings = settings,
        .before = before,
        .generation = generation,
        .priority = priority,
        .began = hf_clock_monotonic(),
        .callback = callback,
        .userdata = userdata,
    };
    int r = make_slots(warm);
    if (r >= 0)
        r = make_sources(warm);
    if (r >= 0)
        r = hf_warm_make_targets(warm);
    if (r >= 0)
        r = hf_warm_make_pages(warm);
    if (r < 0) {
        warm_free(warm);
        return r;
    }
    warm->lowered = hf_priority_lower(generation->main.pid, &generation->members.service, priority);
    *ret = warm;
    return 0;
}
