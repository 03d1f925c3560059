#include "parts/survive/fd_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/memfile.h"
#include "kernel/notify_socket.h"
#include "run/crash_point.h"
#include "run/inputs.h"
#include "run/own_unit.h"

#define PREFIX     "hf-"
#define SNAPSHOTS  HF_SNAPSHOT_COPIES
#define RETRY_TIME (100 * HF_USEC_PER_MSEC) /* until systemd has read what waits */

struct HfFdStore {
    HfSupervisor *supervisor;
    int slots[SNAPSHOTS];
    bool pushed[SNAPSHOTS];
    bool notify_pushed;
    uint64_t processes[HF_MACHINE_SLOTS]; /* generations whose pidfd is there, 0: none */
    uint64_t sequence;
    HfText last; /* without sequence */
    bool failed; /* has been told */
    sd_event_source *retry;
};

static bool left;

/* ---- the protocol ---- */

/* systemd.exec(5) SYSTEMD_EXEC_PID, FDSTORE: only the main process of a unit has one. */
static bool is_available(void)
{
    const char *socket = getenv("NOTIFY_SOCKET");
    const char *store = getenv("FDSTORE");

    if (!socket || !*socket || (store && strcmp(store, "0") == 0))
        return false;
    return store || hf_own_unit_is_main();
}

static int push(const char *name, int fd)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "FDSTORE=1\nFDNAME=%s\n", name);
    return hf_notifysocket_send_fd(getenv("NOTIFY_SOCKET"), hf_text_peek(&text), fd);
}

/* What cannot be sent now stays there, and is closed by whoever gets it back. */
static void remove_name(const char *name)
{
    HF_CLEANUP_TEXT HfText text = {0};

    if (left || !is_available())
        return;
    hf_text_addf(&text, "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
    (void)hf_notifysocket_send(getenv("NOTIFY_SOCKET"), hf_text_peek(&text));
}

static void add_name(HfText *text, char kind, uint64_t number)
{
    hf_text_addf(text, PREFIX "%c-%llu", kind, (unsigned long long)number);
}

void hf_fd_store_forget_listener(ino_t socket)
{
    HF_CLEANUP_TEXT HfText name = {0};

    add_name(&name, 'l', socket);
    remove_name(hf_text_peek(&name));
}

static void forget_process(uint64_t generation)
{
    HF_CLEANUP_TEXT HfText name = {0};

    add_name(&name, 'p', generation);
    remove_name(hf_text_peek(&name));
}

/* Of a listener that is closed: its path stays for whoever goes on with the socket. */
static bool on_listener_closed(const HfListener *held)
{
    if (held->stored)
        hf_fd_store_forget_listener(held->socket);
    return held->stored && left;
}

void hf_fd_store_leave(void)
{
    left = true;
}

/* ---- the store ---- */

int hf_fd_store_new(HfSupervisor *supervisor, HfFdStore **ret)
{
    hf_listener_on_close(on_listener_closed);
    if (!is_available())
        return 0;
    HfFdStore *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    *store = (HfFdStore){.supervisor = supervisor, .slots = {-1, -1}};
    *ret = store;
    return 0;
}

HfFdStore *hf_fd_store_free(HfFdStore *store)
{
    if (!store)
        return NULL;
    for (size_t i = 0; i < SNAPSHOTS; i++)
        hf_fd_close(store->slots[i]);
    hf_text_clear(&store->last);
    sd_event_source_disable_unref(store->retry);
    free(store);
    return NULL;
}

void hf_fd_store_continue(HfFdStore *store, HfNotes *notes, uint64_t sequence)
{
    bool resumed = store && store->supervisor->first == HF_EVENT_RESUME;

    if (!store)
        return;
    store->sequence = sequence;
    for (unsigned slot = 0; slot < SNAPSHOTS; slot++) {
        HF_CLEANUP_TEXT HfText name = {0};
        add_name(&name, 's', slot);
        store->slots[slot] = hf_notes_take(notes, hf_text_peek(&name));
        store->pushed[slot] = store->slots[slot] >= 0;
    }
    for (size_t i = 0; i < notes->n; i++) {
        const HfNote *note = &notes->list[i];
        if (strcmp(note->key, HF_NOTES_NOTIFY) != 0)
            continue;
        store->notify_pushed = note->fd < 0 && !resumed;
        if (note->fd >= 0) /* an instance's that has ended: nobody sends there any more */
            remove_name(HF_NOTES_NOTIFY);
    }
}

int hf_fd_store_pass(const HfFdStore *store, HfSnapshot *snapshot)
{
    int r = 0;

    if (!store)
        return 0;
    snapshot->sequence = store->sequence;
    for (unsigned slot = 0; r >= 0 && slot < SNAPSHOTS; slot++) {
        HF_CLEANUP_TEXT HfText name = {0};
        add_name(&name, 's', slot);
        if (store->pushed[slot])
            r = hf_snapshot_note(snapshot, hf_text_peek(&name), NULL, store->slots[slot]);
    }
    return r;
}

static int push_listener(HfListener *held)
{
    HF_CLEANUP_TEXT HfText name = {0};

    if (held->received || held->stored)
        return 0;
    add_name(&name, 'l', held->socket);
    int r = push(hf_text_peek(&name), held->fd);
    held->stored = r >= 0;
    return r;
}

static int push_listeners(const HfPlan *plan)
{
    int r = 0;

    for (size_t i = 0; plan && r >= 0 && i < plan->n_listeners; i++)
        r = push_listener(plan->listeners[i]);
    return r;
}

static int push_generation(HfGeneration *generation)
{
    HF_CLEANUP_TEXT HfText name = {0};

    if (generation->stored || generation->main_exited)
        return 0;
    add_name(&name, 'p', generation->number);
    int r = push(hf_text_peek(&name), generation->main.pidfd);
    generation->stored = r >= 0;
    return r;
}

static int push_snapshot(HfFdStore *store, unsigned slot)
{
    HF_CLEANUP_TEXT HfText name = {0};

    if (store->slots[slot] < 0) {
        int fd = hf_memfile_open("holdfast-snapshot");
        if (fd < 0)
            return fd;
        store->slots[slot] = fd;
    }
    if (store->pushed[slot])
        return 0;
    add_name(&name, 's', slot);
    int r = push(hf_text_peek(&name), store->slots[slot]);
    store->pushed[slot] = r >= 0;
    return r;
}

/* A pidfd goes with its generation, or when another process becomes the main one. */
static void forget_processes(HfFdStore *store)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfGeneration *generation = store->supervisor->generations[i];
        bool same = generation && generation->stored && generation->number == store->processes[i];
        if (store->processes[i] > 0 && !same)
            forget_process(store->processes[i]);
    }
}

static int push_generations(HfFdStore *store)
{
    int r = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfGeneration *generation = store->supervisor->generations[i];
        if (generation && r >= 0)
            r = push_generation(generation);
        store->processes[i] = generation && generation->stored ? generation->number : 0;
    }
    return r;
}

/* The snapshots first: whatever else there is room for, they tell what it is. */
static int push_all(HfFdStore *store)
{
    HfSupervisor *supervisor = store->supervisor;
    int r = 0;

    for (unsigned slot = 0; r >= 0 && slot < SNAPSHOTS; slot++)
        r = push_snapshot(store, slot);
    if (r >= 0)
        r = push_listeners(supervisor->current);
    if (r >= 0)
        r = push_listeners(supervisor->prepared);
    if (r >= 0)
        r = push_generations(store);
    if (r >= 0 && !store->notify_pushed) {
        r = push(PREFIX "n", hf_inputs_fd(supervisor->watch));
        store->notify_pushed = r >= 0;
    }
    return r;
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

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    hf_fd_store_sync(userdata);
    return 0;
}

static void try_again(HfFdStore *store)
{
    if (store->retry && sd_event_source_set_time_relative(store->retry, RETRY_TIME) >= 0 &&
        sd_event_source_set_enabled(store->retry, SD_EVENT_ONESHOT) >= 0)
        return;
    store->retry = sd_event_source_disable_unref(store->retry);
    (void)sd_event_add_time_relative(store->supervisor->loop, &store->retry, CLOCK_MONOTONIC,
                                     RETRY_TIME, 0, on_retry, store);
}

void hf_fd_store_sync(HfFdStore *store)
{
    if (!store || left)
        return;
    forget_processes(store);
    int r = push_all(store);
    if (r == -EAGAIN)
        try_again(store);
    HF_CRASH_POINT("store-pushed");
    int written = store->slots[0] >= 0 && store->slots[1] >= 0 ? write_snapshot(store) : 0;
    r = r == -EAGAIN ? 0 : r;
    r = r < 0 ? r : written;
    if (r < 0 && !store->failed) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields,
               "systemd's fd store cannot be kept up to date: a crash of holdfast itself would "
               "close the sockets");
    }
    store->failed = r < 0;
}

void hf_fd_store_finish(HfFdStore *store)
{
    if (!store || left)
        return;
    hf_fd_store_sync(store);
    left = true;
}
