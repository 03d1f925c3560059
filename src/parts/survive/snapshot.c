/* SPDX-License-Identifier: MIT */
#include "parts/survive/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void hf_snapshot_init(HfSnapshot *snapshot)
{
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->current = -1;
}

/* Forgets borrowed objects. */
static void clear_borrowed(HfSnapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->wanted.n; i++)
        ((HfSnapshotWanted *)snapshot->wanted.items[i])->planned = (HfPlanned){0};
    snapshot->listeners.n = snapshot->plans.n = snapshot->generations.n = 0;
    snapshot->version = snapshot->pid_file = NULL;
}

void hf_snapshot_clear(HfSnapshot *snapshot)
{
    if (snapshot->borrowed)
        clear_borrowed(snapshot);
    for (size_t g = 0; g < hf_field_groups_n; g++) {
        const HfFieldGroup *group = &hf_field_groups[g];
        HfSnapshotList *list = hf_field_list(group, snapshot);
        if (!group->make)
            continue;
        for (size_t i = 0; i < list->n; i++)
            group->free(list->items[i]);
        hf_freep(&list->items);
    }
    hf_field_clear(hf_field_groups[0].fields, hf_field_groups[0].n_fields, snapshot);
    hf_snapshot_init(snapshot);
}

int hf_snapshot_append(HfSnapshotList *list, void *item)
{
    int r = item ? hf_array_reserve(&list->items, &list->room, list->n + 1, sizeof(*list->items))
                 : -ENOMEM;

    if (r >= 0)
        list->items[list->n++] = item;
    return r;
}

int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd)
{
    HfNote *note = calloc(1, sizeof(*note));

    int r = note ? hf_string_set(&note->key, key) : -ENOMEM;
    if (r >= 0)
        r = hf_string_set(&note->text, text);
    if (r >= 0)
        r = hf_snapshot_append(&snapshot->notes, note);
    if (r >= 0) {
        note->fd = fd;
    } else if (note) {
        free(note->key);
        free(note->text);
        free(note);
    }
    return r;
}

/* ---- is it sound? ---- */

static bool check_plan(const HfPlan *plan)
{
    bool ok =
        plan->adapter && plan->handoff && plan->program && plan->arguments && plan->stop_signal > 0;

    for (size_t i = 0; ok && i < plan->n_pools; i++) {
        const HfPlanPool *pool = &plan->pools[i];
        ok = pool->name && pool->memory_limit && pool->workers > 0 &&
             (pool->status_path != NULL) == (pool->probe != 0) &&
             (pool->status_path != NULL) == hf_plan_is_probed(plan);
    }
    return ok;
}

static bool check_wanted(const HfSnapshotWanted *wanted)
{
    return wanted->plan && wanted->listener && wanted->planned.spec.name &&
           wanted->planned.spec.address.kind != HF_ADDRESS_NONE &&
           (wanted->plan->n_pools == 0 || wanted->planned.pool < wanted->plan->n_pools);
}

static bool check_generation(const HfSnapshot *snapshot, size_t i)
{
    const HfGeneration *generation = snapshot->generations.items[i];
    bool ok = generation->plan && generation->slot < HF_MACHINE_SLOTS && generation->main.pid > 0 &&
              generation->side == snapshot->machine.generations[generation->slot].side &&
              generation->session >= 0 &&
              generation->number == snapshot->machine.generations[generation->slot].number;

    for (size_t j = 0; ok && j < i; j++)
        ok = ((HfGeneration *)snapshot->generations.items[j])->slot != generation->slot;
    return ok;
}

static bool check_sides(const HfSnapshot *snapshot)
{
    bool ok = snapshot->machine.side < HF_MACHINE_SIDES;

    for (size_t i = 0; ok && i < HF_MACHINE_SLOTS; i++)
        ok = snapshot->machine.generations[i].side < HF_MACHINE_SIDES;
    return ok;
}

int hf_snapshot_check(const HfSnapshot *snapshot)
{
    bool ok = snapshot->current < (int)snapshot->plans.n && snapshot->current >= -1 &&
              snapshot->machine.planned == (snapshot->current >= 0) && check_sides(snapshot) &&
              hf_machine_is_sound(&snapshot->machine);

    for (size_t i = 0; ok && i < snapshot->plans.n; i++)
        ok = check_plan(snapshot->plans.items[i]);
    for (size_t i = 0; ok && i < snapshot->listeners.n; i++) {
        const HfListener *listener = snapshot->listeners.items[i];
        ok = listener->spec.address.kind != HF_ADDRESS_NONE && listener->spec.name != NULL;
    }
    for (size_t i = 0; ok && i < snapshot->wanted.n; i++)
        ok = check_wanted(snapshot->wanted.items[i]);
    for (size_t i = 0; ok && i < snapshot->generations.n; i++)
        ok = check_generation(snapshot, i);
    for (size_t i = 0; ok && i < snapshot->notes.n; i++)
        ok = ((HfNote *)snapshot->notes.items[i])->key != NULL;
    return ok ? 0 : -EBADMSG;
}
