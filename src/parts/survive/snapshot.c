#include "parts/survive/snapshot.h"

#include <string.h>

#include "base/memory.h"
#include "parts/survive/snapshot_fields.h"

void hf_snapshot_init(HfSnapshot *snapshot)
{
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->current = -1;
    snapshot->lock_fd = snapshot->control_fd = snapshot->notify_fd = -1;
    snapshot->stored_fds[0] = snapshot->stored_fds[1] = -1;
}

static void clear_object(const HfFieldGroup *group, char *object)
{
    for (size_t i = 0; i < group->n_fields; i++) {
        void *at = object + group->fields[i].offset;
        if (group->fields[i].type == HF_FIELD_TEXT)
            hf_freep(at);
        else if (group->fields[i].type == HF_FIELD_TEXTS)
            hf_strv_freep(at);
        else if (group->fields[i].type == HF_FIELD_NUMBERS)
            hf_freep(&((HfSnapshotNumbers *)at)->list);
    }
}

void hf_snapshot_clear(HfSnapshot *snapshot)
{
    for (size_t g = 0; g < hf_field_groups_n; g++) {
        const HfFieldGroup *group = &hf_field_groups[g];
        void *object;
        for (size_t i = 0; group->add && (object = group->get(snapshot, i)); i++)
            clear_object(group, object);
    }
    clear_object(&hf_field_groups[0], (char *)snapshot);
    hf_freep(&snapshot->listeners);
    hf_freep(&snapshot->plans);
    hf_freep(&snapshot->wanted);
    hf_freep(&snapshot->generations);
    hf_snapshot_init(snapshot);
}

/* One more zeroed element at the end of a list, or NULL. */
#define ADD(snapshot, list, maximum)                                                               \
    ((snapshot)->n_##list < (maximum) &&                                                           \
             hf_array_reserve(&(snapshot)->list, &(snapshot)->room_##list,                         \
                              (snapshot)->n_##list + 1, sizeof(*(snapshot)->list)) == 0            \
         ? &(snapshot)->list[(snapshot)->n_##list++]                                               \
         : NULL)

HfSnapshotListener *hf_snapshot_add_listener(HfSnapshot *snapshot)
{
    HfSnapshotListener *added = ADD(snapshot, listeners, HF_SNAPSHOT_LISTENERS);

    if (!added)
        return NULL;
    hf_listener_spec_init(&added->spec);
    added->fd = -1;
    return added;
}

HfSnapshotPlan *hf_snapshot_add_plan(HfSnapshot *snapshot)
{
    HfSnapshotPlan *added = ADD(snapshot, plans, HF_SNAPSHOT_PLANS);

    if (added)
        added->capabilities = UINT64_MAX;
    return added;
}

HfSnapshotWanted *hf_snapshot_add_wanted(HfSnapshot *snapshot)
{
    return ADD(snapshot, wanted, HF_SNAPSHOT_LISTENERS);
}

HfSnapshotGeneration *hf_snapshot_add_generation(HfSnapshot *snapshot)
{
    HfSnapshotGeneration *added = ADD(snapshot, generations, HF_MACHINE_SLOTS);

    if (added)
        added->pidfd = -1;
    return added;
}
