/* SPDX-License-Identifier: MIT */
#include "parts/trial/trial_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "format/pages.h"
#include "parts/probe/figures.h"

/* ---- auto: the scripts in the previous generation's opcode cache are compiled in the next ---- */

#define BATCH_BYTES   (128U * 1024)
#define BATCH_SCRIPTS 512U

static bool has_chroot(const HfPlanPool *pool)
{
    return pool->chroot && *pool->chroot;
}

/* Beside the overlay, whose name leads to it after a crash; for a chroot it must lie inside. name:
 * its path for the pool. */
static void name_script(const HfSupervisor *supervisor, const HfGeneration *generation,
                        const HfPlanPool *pool, HfText *name, HfText *file)
{
    const char *overlay = generation->files.overlay;
    const char *base = strrchr(overlay, '/') + 1;

    if (has_chroot(pool))
        hf_text_addf(name, "/.holdfast-%s-", supervisor->name);
    else
        hf_text_add_bytes(name, overlay, (size_t)(base - overlay));
    hf_text_addf(name, "%.*s.php", (int)strcspn(base, "."), base);
    hf_text_addf(file, "%s%s", has_chroot(pool) ? pool->chroot : "", hf_text_peek(name));
}

static int place_script(HfWarmUp *warm, HfWarmTarget *target)
{
    const HfPlan *plan = warm->generation->plan;
    HF_CLEANUP_TEXT HfText name = {0};
    HF_CLEANUP_TEXT HfText file = {0};

    name_script(warm->supervisor, warm->generation, &plan->pools[target->after], &name, &file);
    int r = hf_text_take(&name, &target->script);
    if (r >= 0)
        r = hf_script_place(plan->adapter, hf_text_peek(&file));
    if (r < 0)
        hf_warm_excuse(warm, "%s cannot be written (%s)", hf_text_peek(&file), strerror(-r));
    return r < 0 ? r : hf_text_take(&file, &target->file);
}

void hf_warm_remove_scripts(const HfSupervisor *supervisor, const HfGeneration *generation)
{
    const HfPlan *plan = generation->plan;

    for (size_t i = 0; generation->statuses && hf_plan_warms(plan) && i < plan->n_pools; i++) {
        HF_CLEANUP_TEXT HfText name = {0};
        HF_CLEANUP_TEXT HfText file = {0};
        if (!plan->pools[i].warms)
            continue;
        name_script(supervisor, generation, &plan->pools[i], &name, &file);
        unlink(hf_text_peek(&file));
    }
}

static bool find_before(const HfPlan *before, const HfPlanPool *pool, size_t *ret)
{
    for (size_t i = 0; hf_plan_warms(before) && i < before->n_pools; i++)
        if (before->pools[i].warms && hf_plan_pools_share(&before->pools[i], pool)) {
            *ret = i;
            return true;
        }
    return false;
}

static int make_targets(HfWarmUp *warm)
{
    const HfPlan *plan = warm->generation->plan;
    const HfGeneration *before = warm->before;
    size_t found;

    warm->targets = hf_allocate(plan->n_pools + 1, sizeof(*warm->targets));
    if (!warm->targets)
        return -ENOMEM;
    if (!before || !hf_plan_warms(plan))
        return 0;
    if (!before->statuses || !warm->generation->statuses) {
        hf_warm_excuse(
            warm,
            "scripts are not compiled: the runtime directory is in memory; let /run be written");
        return 0;
    }
    for (size_t i = 0; i < plan->n_pools; i++) {
        if (!plan->pools[i].warms || !find_before(before->plan, &plan->pools[i], &found))
            continue;
        if (before->main_exited && !hf_plan_keeps(before->plan, found)) {
            hf_warm_excuse(warm,
                           "[%s] scripts cannot be listed: the main process has died, and so "
                           "many pools with pm = ondemand keep no worker",
                           plan->pools[i].name);
            continue;
        }
        HfWarmTarget *target = &warm->targets[warm->n_targets++];
        *target = (HfWarmTarget){.before = found, .after = i};
        if (place_script(warm, target) < 0)
            target->next = NULL;
    }
    return 0;
}

static void clear_targets(HfWarmUp *warm)
{
    for (size_t i = 0; i < warm->n_targets; i++) {
        HfWarmTarget *target = &warm->targets[i];
        if (target->file)
            unlink(target->file);
        free(target->file);
        free(target->script);
        free(target->list);
        hf_text_clear(&target->again);
    }
    hf_freep(&warm->targets);
    warm->n_targets = 0;
}

/* task: what the script must do. */
static int ask_script(HfWarmSlot *slot, const HfGeneration *generation, size_t pool,
                      const char *task, HfRequestCallback callback)
{
    const HfScriptRun run = {
        .statuses = generation->statuses,
        .pool = pool,
        .left = generation->main_exited,
        .script = slot->target->script,
        .task = task,
        .body = slot->body.length > 0 ? slot->body.data + slot->done : NULL,
        .body_length = slot->body.length - slot->done,
        .timeout = slot->warm->settings->warm_timeout,
    };

    return hf_script_run(slot->warm->supervisor->loop, &run, callback, slot, &slot->request);
}

/* Returns whether the answer is ok, and what follows; otherwise says why it is not. */
static bool take_answer(HfWarmSlot *slot, const HfReply *reply, const char *doing, const char **ret,
                        size_t *ret_length)
{
    const char *pool = slot->warm->generation->plan->pools[slot->target->after].name;
    HF_CLEANUP_TEXT HfText why = {0};

    if (hf_script_answer(reply, ret, ret_length, &why))
        return true;
    hf_warm_excuse(slot->warm, "[%s] scripts cannot be %s: %s", pool, doing, hf_text_peek(&why));
    return false;
}

/* ---- the list ---- */

/* Translates the paths for the next generation, as a deploy may have moved a link. */
static void take_list(HfWarmSlot *slot, const char *list, size_t length)
{
    const HfPlan *before = slot->warm->before->plan;
    const HfPlan *after = slot->warm->generation->plan;
    bool moved = before->document_root && after->document_root &&
                 !has_chroot(&after->pools[slot->target->after]);
    HF_CLEANUP_TEXT HfText text = {0};

    slot->warm->warmed.listed += hf_scripts_moved(list, length, moved ? before->document_root : "",
                                                  moved ? after->document_root : "", &text);
    hf_text_take(&text, &slot->target->list);
    slot->target->next = slot->target->list;
}

static void on_list(const HfReply *reply, void *userdata)
{
    HfWarmSlot *slot = userdata;
    const char *list;
    size_t length;

    slot->request = NULL;
    if (take_answer(slot, reply, "listed", &list, &length))
        take_list(slot, list, length);
    hf_warm_next(slot);
}

static bool begin_list(HfWarmSlot *slot)
{
    HfWarmUp *warm = slot->warm;

    while (warm->next < warm->n_targets) {
        slot->target = &warm->targets[warm->next++];
        hf_text_clear(&slot->body);
        slot->done = 0;
        if (slot->target->file &&
            ask_script(slot, warm->before, slot->target->before, "list", on_list) >= 0)
            return true;
    }
    return false;
}

/* ---- the batches ---- */

static void take_marks(HfWarmSlot *slot, const char *marks, size_t n)
{
    HfWarmUp *warm = slot->warm;
    HfScriptMarks marked;

    slot->done += hf_scripts_mark(marks, n, slot->body.data + slot->done,
                                  slot->body.length - slot->done, &marked, &slot->target->again);
    warm->warmed.scripts += marked.compiled;
    warm->warmed.listed -= marked.gone; /* nobody needs them any more */
    if (marked.full)
        hf_warm_excuse(warm, "the opcode cache is nearly full; raise opcache.memory_consumption or "
                             "opcache.max_accelerated_files");
}

static int ask_batch(HfWarmSlot *slot);

static void on_batch(const HfReply *reply, void *userdata)
{
    HfWarmSlot *slot = userdata;
    const char *marks;
    size_t n;

    slot->request = NULL;
    if (take_answer(slot, reply, "compiled", &marks, &n)) {
        if (n == 0) /* the script that killed it */
            marks = "-", n = 1;
        take_marks(slot, marks, n);
        if (slot->done < slot->body.length && ask_batch(slot) >= 0)
            return;
    }
    hf_warm_next(slot);
}

static int ask_batch(HfWarmSlot *slot)
{
    return ask_script(slot, slot->warm->generation, slot->target->after, "compile", on_batch);
}

/* Takes lines from the list, each with a newline, even the last. */
static void fill_batch(HfWarmSlot *slot)
{
    const char *start = slot->target->next;
    const char *end = start;

    for (unsigned n = 0; *end && n < BATCH_SCRIPTS && end - start < (ptrdiff_t)BATCH_BYTES; n++)
        end = strchr(end, '\n') + 1;
    hf_text_clear(&slot->body);
    hf_text_add_bytes(&slot->body, start, (size_t)(end - start));
    slot->done = 0;
    slot->target->next = end;
}

static bool begin_batch(HfWarmSlot *slot)
{
    HfWarmUp *warm = slot->warm;

    for (size_t i = 0; i < warm->n_targets; i++) {
        slot->target = &warm->targets[i];
        while (slot->target->next && *slot->target->next) {
            fill_batch(slot);
            if (!slot->body.failed && ask_batch(slot) >= 0)
                return true;
        }
    }
    return false;
}

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
    clear_targets(warm);
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
        return begin_list(slot);
    case HF_WARM_ASKED:
        return hf_warm_begin_recent(slot);
    case HF_WARM_COMPILE:
        return begin_batch(slot);
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
        r = make_targets(warm);
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
