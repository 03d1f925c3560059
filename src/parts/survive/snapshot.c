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

/* What stands for somebody else's is no longer known. */
static void give_back(HfSnapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->wanted.n; i++)
        ((HfSnapshotWanted *)snapshot->wanted.items[i])->planned = (HfPlanned){0};
    snapshot->listeners.n = snapshot->plans.n = snapshot->generations.n = 0;
    snapshot->version = snapshot->pid_file = NULL;
}

void hf_snapshot_clear(HfSnapshot *snapshot)
{
    if (snapshot->borrowed)
        give_back(snapshot);
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

/* Adds what is not NULL. */
static int append_item(HfSnapshotList *list, void *item)
{
    int r = item ? hf_array_reserve(&list->items, &list->room, list->n + 1, sizeof(*list->items))
                 : -ENOMEM;

    if (r >= 0)
        list->items[list->n++] = item;
    return r;
}

/* ---- what there is ---- */

static int add_plan(HfSnapshot *snapshot, HfPlan *plan)
{
    for (size_t i = 0; i < snapshot->plans.n; i++)
        if (snapshot->plans.items[i] == plan)
            return 0;
    for (size_t i = 0; i < plan->n_listeners; i++)
        plan->listeners[i]->index = UINT32_MAX;
    return append_item(&snapshot->plans, plan);
}

/* Each once, however many plans share it. */
static int add_listeners(HfSnapshot *snapshot, HfListener *const *listeners, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        if (listeners[i]->index != UINT32_MAX)
            continue;
        listeners[i]->index = (unsigned)snapshot->listeners.n;
        r = append_item(&snapshot->listeners, listeners[i]);
    }
    return r;
}

static int add_wanted(HfSnapshot *snapshot, HfPlan *plan)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < plan->n_listeners; i++) {
        HfSnapshotWanted *wanted = malloc(sizeof(*wanted));
        if (wanted)
            *wanted = (HfSnapshotWanted){plan, plan->listeners[i], plan->wanted[i]};
        r = append_item(&snapshot->wanted, wanted);
    }
    return r;
}

static int add_notes(HfSnapshot *snapshot, const HfSupervisor *supervisor)
{
    HfNotes notes = {0};
    int r = 0;

    HF_EACH_PART (supervisor, i, captured)
        r = r < 0 ? r : supervisor->parts[i]->captured(supervisor->states[i], &notes);
    for (size_t i = 0; r >= 0 && i < notes.n; i++)
        r = hf_snapshot_note(snapshot, notes.list[i].key, notes.list[i].text, notes.list[i].fd);
    hf_notes_clear(&notes, false);
    return r;
}

static char own_version[] = HF_VERSION;

int hf_snapshot_capture(const HfSupervisor *supervisor, HfSnapshot *ret)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    int r = 0;

    hf_snapshot_init(&snapshot);
    snapshot.borrowed = true;
    snapshot.version = own_version;
    snapshot.machine = supervisor->machine;
    snapshot.pid_file = supervisor->pid_file;
    if (supervisor->current) {
        snapshot.current = 0;
        r = add_plan(&snapshot, supervisor->current);
    }
    for (size_t i = 0; r >= 0 && i < HF_MACHINE_SLOTS; i++) {
        HfGeneration *generation = supervisor->generations[i];
        if (!generation)
            continue;
        r = append_item(&snapshot.generations, generation);
        if (r >= 0)
            r = add_plan(&snapshot, generation->plan);
    }
    for (size_t i = 0; i < supervisor->n_received; i++)
        supervisor->received[i]->index = UINT32_MAX;
    for (size_t i = 0; r >= 0 && i < snapshot.plans.n; i++) {
        HfPlan *plan = snapshot.plans.items[i];
        r = add_listeners(&snapshot, plan->listeners, plan->n_listeners);
        if (r >= 0)
            r = add_wanted(&snapshot, plan);
    }
    if (r >= 0)
        r = add_listeners(&snapshot, supervisor->received, supervisor->n_received);
    if (r >= 0)
        r = add_notes(&snapshot, supervisor);
    if (r < 0)
        return r;
    *ret = snapshot;
    hf_snapshot_init(&snapshot);
    return 0;
}

int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd)
{
    HfNote *note = calloc(1, sizeof(*note));

    int r = note ? hf_string_set(&note->key, key) : -ENOMEM;
    if (r >= 0)
        r = hf_string_set(&note->text, text);
    if (r >= 0)
        r = append_item(&snapshot->notes, note);
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
              generation->session >= 0 &&
              generation->number == snapshot->machine.generations[generation->slot].number;

    for (size_t j = 0; ok && j < i; j++)
        ok = ((HfGeneration *)snapshot->generations.items[j])->slot != generation->slot;
    return ok;
}

int hf_snapshot_check(const HfSnapshot *snapshot)
{
    bool ok = snapshot->current < (int)snapshot->plans.n && snapshot->current >= -1 &&
              snapshot->machine.planned == (snapshot->current >= 0) &&
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
