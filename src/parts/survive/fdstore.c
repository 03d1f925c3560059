/* SPDX-License-Identifier: MIT */
#include "parts/survive/survive_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/file.h"
#include "loop/cgroups.h"
#include "parts/events/events.h"
#include "run/inputs.h"

#define SNAPSHOTS HF_SNAPSHOT_COPIES

#define UNCLEAR UINT64_MAX /* an id that matches none */

typedef enum Kind { KIND_SNAPSHOT, KIND_LISTENER, KIND_PROCESS, KIND_NOTIFY, KIND_MAX_ } Kind;
static const char *const kinds[] = {HF_NOTES_SNAPSHOT, HF_NOTES_LISTENER, HF_NOTES_PROCESS,
                                    HF_NOTES_NOTIFY};

/* A descriptor in the store. Another one under the same name has another id. */
typedef struct Stored {
    Kind kind;
    uint64_t number; /* in its name */
    uint64_t id;
    bool wanted; /* in the current sync */
} Stored;

struct HfFdStore {
    HfSupervisor *supervisor;
    HfSdNotify *manager;
    Stored *list;
    size_t n;
    size_t room;
    size_t next; /* where the next wanted one is expected */
    int slots[SNAPSHOTS];
    uint64_t sequence;
    HfText last; /* without its sequence */
    bool failed; /* and logged */
    bool left;
};

static void add_name(HfText *text, Kind kind, uint64_t number)
{
    hf_text_add(text, kinds[kind]);
    if (kind != KIND_NOTIFY)
        hf_text_addf(text, "-%llu", (unsigned long long)number);
}

/* ---- contents ---- */

/* systemd.exec(5) SYSTEMD_EXEC_PID, FDSTORE: only the main process of a unit has a store. */
static bool is_available(void)
{
    const char *store = getenv("FDSTORE");

    return store ? strcmp(store, "0") != 0 : hf_own_unit_is_main();
}

/* Tells it from another one with the same name. */
static uint64_t id_of(Kind kind, int fd)
{
    struct stat status;
    pid_t pid;

    if (kind == KIND_PROCESS)
        return hf_process_of_pidfd(fd, &pid) < 0 ? UNCLEAR : (uint64_t)pid;
    if (kind == KIND_NOTIFY)
        return fstat(fd, &status) < 0 ? UNCLEAR : status.st_ino;
    return 0; /* the name is enough */
}

static Stored *find_stored(HfFdStore *store, Kind kind, uint64_t number)
{
    for (size_t i = 0; i < store->n; i++) {
        size_t at = (store->next + i) % store->n;
        if (store->list[at].number == number && store->list[at].kind == kind) {
            store->next = at + 1;
            return &store->list[at];
        }
    }
    return NULL;
}

static int add_stored(HfFdStore *store, const Stored *stored)
{
    int r = hf_array_reserve(&store->list, &store->room, store->n + 1, sizeof(*store->list));

    if (r >= 0)
        store->list[store->n++] = *stored;
    return r;
}

static int add_note(HfFdStore *store, const HfNote *note)
{
    Stored stored = {.kind = KIND_SNAPSHOT};

    while (stored.kind < KIND_MAX_ && !hf_note_is(note, kinds[stored.kind]))
        stored.kind++;
    if (stored.kind == KIND_MAX_)
        return 0;
    const char *number = note->key + strlen(kinds[stored.kind]);
    if (*number && hf_parse_uint(number + 1, UINT64_MAX, &stored.number) < 0)
        return 0;
    Stored *same = find_stored(store, stored.kind, stored.number);
    if (same) {
        same->id = UNCLEAR;
        return 0;
    }
    stored.id = id_of(stored.kind, note->fd);
    return add_stored(store, &stored);
}

/* After an upgrade some descriptors may never have reached the store. */
static bool was_in(const HfSupervisor *supervisor, const char *name)
{
    const HfNotes *notes = &supervisor->notes;

    for (size_t i = 0; i < notes->n; i++)
        if (strcmp(notes->list[i].key, "stored") == 0 && notes->list[i].text &&
            strcmp(notes->list[i].text, name) == 0)
            return true;
    return supervisor->first != HF_EVENT_RESUME;
}

int hf_fdstore_new(HfSupervisor *supervisor, HfFdStore **ret)
{
    const HfEvents *events = hf_events_of(supervisor);
    const HfNotes *notes = &supervisor->notes;
    int r = 0;

    if (!events || !events->notify || !is_available())
        return 0;
    HfFdStore *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    *store = (HfFdStore){.supervisor = supervisor, .manager = events->notify, .slots = {-1, -1}};
    for (size_t i = 0; r >= 0 && i < notes->n; i++)
        if (was_in(supervisor, notes->list[i].key))
            r = add_note(store, &notes->list[i]);
    *ret = store;
    return r;
}

HfFdStore *hf_fdstore_free(HfFdStore *store)
{
    if (!store)
        return NULL;
    for (size_t i = 0; i < SNAPSHOTS; i++)
        hf_fd_close(store->slots[i]);
    hf_text_clear(&store->last);
    free(store->list);
    free(store);
    return NULL;
}

void hf_fdstore_continue(HfFdStore *store, uint64_t sequence)
{
    if (!store)
        return;
    store->sequence = sequence;
    for (unsigned slot = 0; slot < SNAPSHOTS; slot++) {
        HF_CLEANUP_TEXT HfText name = {0};
        add_name(&name, KIND_SNAPSHOT, slot);
        store->slots[slot] = hf_notes_take(&store->supervisor->notes, hf_text_peek(&name));
    }
}

int hf_fdstore_pass(const HfFdStore *store, HfSnapshot *snapshot)
{
    int r = 0;

    if (!store)
        return 0;
    snapshot->sequence = store->sequence;
    for (unsigned slot = 0; r >= 0 && slot < SNAPSHOTS; slot++) {
        HF_CLEANUP_TEXT HfText name = {0};
        add_name(&name, KIND_SNAPSHOT, slot);
        r = hf_snapshot_note(snapshot, hf_text_peek(&name), NULL, store->slots[slot]);
    }
    for (size_t i = 0; r >= 0 && i < store->n; i++) {
        HF_CLEANUP_TEXT HfText name = {0};
        add_name(&name, store->list[i].kind, store->list[i].number);
        if (!hf_sd_notify_waits(store->manager, hf_text_peek(&name)))
            r = hf_snapshot_note(snapshot, "stored", hf_text_peek(&name), -1);
    }
    return r;
}

/* ---- what should be in it ---- */

static int remove_stored(HfFdStore *store, const Stored *stored)
{
    HF_CLEANUP_TEXT HfText name = {0};

    add_name(&name, stored->kind, stored->number);
    return hf_sd_notify_unstore(store->manager, hf_text_peek(&name));
}

static int want_stored(HfFdStore *store, Kind kind, uint64_t number, int fd)
{
    const Stored wanted = {.kind = kind, .number = number, .id = id_of(kind, fd), .wanted = true};
    Stored *stored = find_stored(store, kind, number);
    HF_CLEANUP_TEXT HfText name = {0};
    int r = 0;

    if (stored && stored->id == wanted.id) {
        stored->wanted = true;
        return 0;
    }
    if (stored)
        r = remove_stored(store, stored);
    add_name(&name, kind, number);
    if (r >= 0)
        r = hf_sd_notify_store(store->manager, hf_text_peek(&name), fd);
    if (r < 0 || !stored)
        return r < 0 ? r : add_stored(store, &wanted);
    *stored = wanted;
    return 0;
}

/* Keeps the order. */
static void remove_unwanted(HfFdStore *store)
{
    size_t n = 0;

    for (size_t i = 0; i < store->n; i++)
        if (store->list[i].wanted || remove_stored(store, &store->list[i]) < 0)
            store->list[n++] = store->list[i];
    store->n = n;
    store->next = 0;
}

static int want_snapshot(HfFdStore *store, unsigned slot)
{
    if (store->slots[slot] < 0) {
        int fd = hf_memfile_open("holdfast-snapshot");
        if (fd < 0)
            return fd;
        store->slots[slot] = fd;
    }
    return want_stored(store, KIND_SNAPSHOT, slot, store->slots[slot]);
}

static int want_listeners(HfFdStore *store, HfListener *const *listeners, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        for (unsigned side = 0; r >= 0 && side < HF_SIDES; side++)
            if (listeners[i]->fds[side] >= 0 &&
                !(listeners[i]->activated && listeners[i]->places[side] == 0))
                r = want_stored(store, KIND_LISTENER, listeners[i]->sockets[side],
                                listeners[i]->fds[side]);
    return r;
}

static int want_plan(HfFdStore *store, const HfPlan *plan)
{
    return plan ? want_listeners(store, plan->listeners, plan->n_listeners) : 0;
}

/* Snapshots first: they describe the others, however many of those fit. */
static int want_all(HfFdStore *store, HfListener *const *restored, size_t n)
{
    const HfSupervisor *supervisor = store->supervisor;
    int r = 0;

    for (unsigned slot = 0; r >= 0 && slot < SNAPSHOTS; slot++)
        r = want_snapshot(store, slot);
    if (r >= 0)
        r = want_plan(store, supervisor->current);
    if (r >= 0)
        r = want_plan(store, supervisor->prepared);
    if (r >= 0)
        r = want_listeners(store, restored, n);
    for (unsigned i = 0; r >= 0 && i < HF_MACHINE_SLOTS; i++) {
        const HfGeneration *generation = supervisor->generations[i];
        if (!generation)
            continue;
        r = want_plan(store, generation->plan);
        if (r >= 0 && !generation->main_exited && generation->main.pidfd >= 0)
            r = want_stored(store, KIND_PROCESS, generation->number, generation->main.pidfd);
    }
    return r < 0 ? r : want_stored(store, KIND_NOTIFY, 0, hf_inputs_fd(supervisor->inputs));
}

static bool is_same(const HfText *a, const HfText *b)
{
    return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

static int write_snapshot(HfFdStore *store)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText plain = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    hf_snapshot_init(&snapshot);
    int r = hf_snapshot_capture(store->supervisor, &snapshot);
    if (r < 0)
        return r;
    hf_snapshot_write(&snapshot, &plain);
    if (plain.failed)
        return -ENOMEM;
    if (is_same(&plain, &store->last))
        return 0;
    snapshot.sequence = ++store->sequence;
    hf_snapshot_write(&snapshot, &text);
    if (text.failed)
        return -ENOMEM;
    HF_CRASH_POINT("store-write");
    r = hf_memfile_replace(store->slots[store->sequence % SNAPSHOTS], text.data, text.length);
    if (r < 0)
        return r;
    HF_CRASH_POINT("store-written");
    hf_text_clear(&store->last);
    store->last = plain;
    plain = (HfText){0};
    return 0;
}

void hf_fdstore_sync(HfFdStore *store, HfListener *const *restored, size_t n)
{
    if (!store || store->left)
        return;
    for (size_t i = 0; i < store->n; i++)
        store->list[i].wanted = false;
    int r = want_all(store, restored, n);
    HF_CRASH_POINT("store-pushed");
    int written = store->slots[0] >= 0 && store->slots[1] >= 0 ? write_snapshot(store) : 0;
    bool complete = r >= 0;
    r = r < 0 ? r : written;
    if (complete)
        remove_unwanted(store);
    if (r < 0 && !store->failed)
        hf_log(LOG_WARNING, &(HfLogFields){.error = r},
               "systemd's fd store cannot be kept up to date: a crash of holdfast itself would "
               "close the sockets");
    store->failed = r < 0;
}

static void leave_paths(const HfFdStore *store, HfListener *const *listeners, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < store->n && !listeners[i]->stays; j++)
            listeners[i]->stays =
                store->list[j].number == listeners[i]->sockets[listeners[i]->side] &&
                store->list[j].kind == KIND_LISTENER;
}

void hf_fdstore_leave(HfFdStore *store, HfListener *const *restored, size_t n)
{
    if (!store)
        return;
    const HfSupervisor *supervisor = store->supervisor;
    const HfPlan *plans[2 + HF_MACHINE_SLOTS] = {supervisor->current, supervisor->prepared};

    store->left = true;
    for (size_t i = 0; i < HF_MACHINE_SLOTS; i++)
        plans[2 + i] = supervisor->generations[i] ? supervisor->generations[i]->plan : NULL;
    for (size_t i = 0; i < 2 + HF_MACHINE_SLOTS; i++)
        if (plans[i])
            leave_paths(store, plans[i]->listeners, plans[i]->n_listeners);
    leave_paths(store, restored, n);
}
