#include <errno.h>
#include <stdlib.h>

#include "parts/survive/survive_parts.h"

static int add_plan(HfSnapshot *snapshot, HfPlan *plan)
{
    for (size_t i = 0; i < snapshot->plans.n; i++)
        if (snapshot->plans.items[i] == plan)
            return 0;
    for (size_t i = 0; i < plan->n_listeners; i++)
        plan->listeners[i]->index = UINT32_MAX;
    return hf_snapshot_append(&snapshot->plans, plan);
}

/* Each once, however many plans share it. */
static int add_listeners(HfSnapshot *snapshot, HfListener *const *listeners, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        if (listeners[i]->index != UINT32_MAX)
            continue;
        listeners[i]->index = (unsigned)snapshot->listeners.n;
        r = hf_snapshot_append(&snapshot->listeners, listeners[i]);
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
        r = hf_snapshot_append(&snapshot->wanted, wanted);
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
        r = hf_snapshot_append(&snapshot.generations, generation);
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
