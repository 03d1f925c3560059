/* SPDX-License-Identifier: MIT */
/* auto: compiles the scripts in the previous generation's opcode cache in the next one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "format/pages.h"
#include "parts/probe/figures.h"
#include "parts/trial/warm_parts.h"

#define BATCH_BYTES   (128U * 1024)
#define BATCH_SCRIPTS 512U

/* ---- the script ---- */

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

int hf_warm_make_targets(HfWarmUp *warm)
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

void hf_warm_clear_targets(HfWarmUp *warm)
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

bool hf_warm_begin_list(HfWarmSlot *slot)
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

bool hf_warm_begin_batch(HfWarmSlot *slot)
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
