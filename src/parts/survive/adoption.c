/* SPDX-License-Identifier: MIT */
#include "parts/survive/survive_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crash_point.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/settings.h"
#include "kernel/file.h"

/* ---- what there is now ---- */

static int add_plan(HfSnapshot *snapshot, HfPlan *plan)
{
    for (size_t i = 0; i < snapshot->plans.n; i++)
        if (snapshot->plans.items[i] == plan)
            return 0;
    for (size_t i = 0; i < plan->n_listeners; i++)
        plan->listeners[i]->index = UINT32_MAX;
    return hf_snapshot_append(&snapshot->plans, plan);
}

/* Adds each once, however many plans share it. */
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
        r = hf_snapshot_append(&snapshot->wanted, wanted);
        if (r < 0)
            free(wanted);
        else
            *wanted = (HfSnapshotWanted){plan, plan->listeners[i], plan->wanted[i]};
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
    for (size_t i = 0; i < supervisor->n_activated; i++)
        supervisor->activated[i]->index = UINT32_MAX;
    for (size_t i = 0; r >= 0 && i < snapshot.plans.n; i++) {
        HfPlan *plan = snapshot.plans.items[i];
        r = add_listeners(&snapshot, plan->listeners, plan->n_listeners);
        if (r >= 0)
            r = add_wanted(&snapshot, plan);
    }
    if (r >= 0)
        r = add_listeners(&snapshot, supervisor->activated, supervisor->n_activated);
    if (r >= 0)
        r = add_notes(&snapshot, supervisor);
    if (r < 0)
        return r;
    *ret = snapshot;
    hf_snapshot_init(&snapshot);
    return 0;
}

/* ---- what there was ---- */

static int load(int fd, HfSnapshot *ret)
{
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;

    int r = hf_memfile_read(fd, HF_SNAPSHOT_MAX, &text, &length);
    return r < 0 ? r : hf_snapshot_read(text, length, ret);
}

/* resumed: its descriptors have the same numbers in this process; otherwise they were a dead one's.
 */
static int take_notes(const HfSnapshot *snapshot, bool resumed, HfNotes *ret)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < snapshot->notes.n; i++) {
        const HfNote *note = snapshot->notes.items[i];
        if (note->fd >= 0 && !resumed)
            continue;
        if (note->fd >= 0)
            r = hf_fd_set_cloexec(note->fd, true);
        if (r >= 0)
            r = hf_notes_add(ret, note->key, note->text, note->fd);
    }
    return r;
}

int hf_adoption_read(int fd, HfSnapshot *ret, HfNotes *notes, HfText *error)
{
    int r = load(fd, ret);
    if (r >= 0)
        r = take_notes(ret, true, notes);
    if (r == -EPROTONOSUPPORT)
        hf_text_add(error, "the snapshot cannot be read: it was written by a holdfast whose "
                           "snapshots this version does not know");
    else if (r == -EBADMSG)
        hf_text_add(error, "the snapshot cannot be read: it is incomplete or damaged");
    else if (r < 0)
        hf_text_addf(error, "the snapshot cannot be read: %s", strerror(-r));
    return r;
}

/* Finds the newest complete snapshot. Returns 1, 0 if there is none, or negative errno when one
 * cannot be read. */
static int find_snapshot(const HfNotes *notes, HfSnapshot *ret)
{
    int found = 0;

    for (size_t i = 0; i < notes->n; i++) {
        HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
        hf_snapshot_init(&snapshot);
        if (!hf_note_is(&notes->list[i], HF_NOTES_SNAPSHOT))
            continue;
        int r = load(notes->list[i].fd, &snapshot);
        if (hf_is_shortage(r))
            return r;
        if (r < 0 || (found && snapshot.sequence < ret->sequence))
            continue;
        hf_snapshot_clear(ret);
        *ret = snapshot;
        hf_snapshot_init(&snapshot);
        found = 1;
    }
    return found;
}

/* ---- its descriptors ---- */

/* Takes a socket that a .socket unit passed again from its own object, for the snapshot's. */
static int take_activated(HfSupervisor *supervisor, uint64_t socket)
{
    for (size_t i = 0; supervisor && i < supervisor->n_activated; i++) {
        if (supervisor->activated[i]->sockets[0] != socket)
            continue;
        int fd = fcntl(supervisor->activated[i]->fds[0], F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return -errno;
        hf_listener_unref(supervisor->activated[i]);
        supervisor->activated[i] = supervisor->activated[--supervisor->n_activated];
        return fd;
    }
    return -EBADF;
}

static int find_socket(HfSupervisor *supervisor, HfNotes *notes, bool activated, uint64_t socket)
{
    struct stat status;

    for (size_t i = 0; i < notes->n && socket != 0; i++) {
        if (!hf_note_is(&notes->list[i], HF_NOTES_LISTENER) || notes->list[i].fd < 0)
            continue;
        if (fstat(notes->list[i].fd, &status) < 0)
            return -errno;
        if (status.st_ino == socket)
            return hf_fd_steal(&notes->list[i].fd);
    }
    return activated ? take_activated(supervisor, socket) : -EBADF;
}

static bool is_whole(const HfListener *listener)
{
    return listener->side < HF_SIDES && listener->standby < HF_SIDES &&
           listener->fds[listener->side] >= 0 && listener->fds[listener->standby] >= 0;
}

static int fill_listener(HfSupervisor *supervisor, HfNotes *notes, HfListener *listener)
{
    bool whole = listener->side < HF_SIDES && listener->standby < HF_SIDES &&
                 listener->sockets[listener->side] != 0 &&
                 listener->sockets[listener->standby] != 0;
    int r = whole ? 0 : -EBADMSG;

    for (unsigned side = 0; r >= 0 && side < HF_SIDES; side++) {
        if (listener->sockets[side] == 0)
            continue;
        int fd = find_socket(supervisor, notes, listener->activated, listener->sockets[side]);
        r = fd < 0 ? fd : hf_listener_revive(listener, side, fd);
    }
    if (r < 0)
        return r;
    bool same = hf_address_is_looked_up(&listener->spec.address) ||
                hf_address_equal(&listener->spec.address, &listener->bound);
    return same ? 0 : -EBADF;
}

/* systemd drops the pidfd of a process that has ended, so the pid is looked up again. */
static int open_again(const HfGeneration *generation)
{
    uint64_t started;
    HF_CLEANUP_FD int pidfd = pidfd_open(generation->main.pid, 0);

    if (pidfd < 0 || hf_process_started(generation->main.pid, &started) < 0 ||
        started != generation->started)
        return -1;
    return hf_fd_steal(&pidfd);
}

/* Makes sure that the pid has not been reused. */
static bool is_process(const HfGeneration *generation, int pidfd)
{
    uint64_t started;
    pid_t pid;

    return hf_process_of_pidfd(pidfd, &pid) == 0 && pid == generation->main.pid &&
           (generation->started == 0 || hf_process_started(pid, &started) < 0 ||
            started == generation->started);
}

static void fill_generation(HfNotes *notes, HfGeneration *generation)
{
    HfProcess *process = &generation->main;

    if (generation->main_exited)
        return;
    for (size_t i = 0; i < notes->n && process->pidfd < 0; i++)
        if (hf_note_is(&notes->list[i], HF_NOTES_PROCESS) &&
            is_process(generation, notes->list[i].fd))
            process->pidfd = hf_fd_steal(&notes->list[i].fd);
    if (process->pidfd < 0)
        process->pidfd = open_again(generation);
    generation->main_exited = process->pidfd < 0;
    if (generation->main_exited) /* its exit status is unknown */
        generation->status.si_pid = process->pid;
}

/* supervisor NULL: for a test. Returns 0, or negative errno with one line in error. */
static int fill(HfSupervisor *supervisor, HfNotes *notes, HfSnapshot *snapshot, HfText *error)
{
    int r = 0;

    for (size_t i = 0; i < snapshot->listeners.n; i++) {
        HfListener *listener = snapshot->listeners.items[i];
        char address[HF_ADDRESS_TEXT_MAX];
        int filled = fill_listener(supervisor, notes, listener);
        if (r < 0 || filled >= 0)
            continue;
        hf_address_format(&listener->spec.address, address);
        hf_text_addf(error, "there is no descriptor of the listener %s%s%s", address,
                     hf_is_shortage(filled) ? ": " : "",
                     hf_is_shortage(filled) ? strerror(-filled) : "");
        r = filled;
    }
    for (size_t i = 0; i < snapshot->generations.n; i++)
        fill_generation(notes, snapshot->generations.items[i]);
    return r;
}

/* Sockets from a .socket unit remain the default for a service that names none. */
static int restore_activated(HfSupervisor *supervisor, const HfSnapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->listeners.n; i++) {
        HfListener *listener = snapshot->listeners.items[i];
        if (!listener->activated || listener->fds[listener->side] < 0)
            continue;
        HfListener **grown =
            reallocarray(supervisor->activated, supervisor->n_activated + 1, sizeof(HfListener *));
        if (!grown)
            return -ENOMEM;
        supervisor->activated = grown;
        supervisor->activated[supervisor->n_activated++] = hf_listener_ref(listener);
    }
    return 0;
}

/* Restores the snapshot's sides: the side left by a later switch still has its generation. With
 * holds a part decides about listeners that are held. */
static void steer_all(const HfSnapshot *snapshot, unsigned side, bool holds)
{
    for (size_t i = 0; i < snapshot->listeners.n; i++) {
        HfListener *listener = snapshot->listeners.items[i];
        if (listener->claimed)
            hf_listener_claim(listener);
        bool stays = holds && hf_listener_is_held(listener);
        int r = is_whole(listener) && !stays ? hf_listener_steer(listener, side) : 0;
        if (r < 0) {
            const HfLogFields fields = {.listener = listener->label, .error = r};
            hf_log(LOG_ERR, &fields, "connections to %s may go to a side that nobody serves",
                   listener->label);
        }
    }
}

/* For the first plan to choose from, with what is known about their paths. */
static int restore_listeners(HfSupervisor *supervisor, HfPredecessor *before)
{
    HfSnapshot *snapshot = &before->snapshot;

    before->restored = calloc(snapshot->listeners.n + 1, sizeof(HfListener *));
    if (!before->restored)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->listeners.n; i++) {
        HfListener *listener = snapshot->listeners.items[i];
        if (!is_whole(listener) || listener->activated)
            continue;
        listener->stays = false;
        before->restored[before->n_restored++] = hf_listener_ref(listener);
    }
    steer_all(snapshot, supervisor->machine.side, false);
    int r = restore_activated(supervisor, snapshot);
    hf_snapshot_clear(snapshot);
    return r;
}

int hf_adoption_find(HfSupervisor *supervisor, HfPredecessor *before, HfText *error)
{
    HfSnapshot *snapshot = &before->snapshot;
    HfNotes *notes = &supervisor->notes;
    bool resumed = supervisor->first == HF_EVENT_RESUME;
    HF_CLEANUP_TEXT HfText why = {0};

    int r = resumed ? 1 : find_snapshot(notes, snapshot);
    if (r <= 0)
        return r;
    HF_CRASH_POINT("adopt-found");
    before->sequence = snapshot->sequence;
    r = fill(supervisor, notes, snapshot, &why);
    HF_CRASH_POINT("adopt-filled");
    bool ended =
        snapshot->machine.phase == HF_PHASE_NEW || snapshot->machine.phase >= HF_PHASE_ENDING;
    if (!ended && !resumed && hf_is_shortage(r)) { /* the next attempt may succeed */
        hf_text_addf(error, "what a dead holdfast left cannot be adopted now: %s",
                     hf_text_peek(&why));
        return r;
    }
    if (ended || r < 0)
        supervisor->first = HF_EVENT_START;
    else if (!resumed)
        supervisor->first = HF_EVENT_ADOPT;
    if (!ended && r < 0)
        hf_log(LOG_ERR, NULL,
               "what a dead holdfast left cannot be adopted, a new generation is started: %s",
               hf_text_peek(&why));
    if (supervisor->first == HF_EVENT_START)
        r = restore_listeners(supervisor, before);
    else
        r = resumed ? 0 : take_notes(snapshot, false, notes);
    HF_CRASH_POINT("adopt-taken");
    return r;
}

int hf_adoption_test(const HfSettings *settings, int fd)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    HF_CLEANUP_TEXT HfText error = {0};
    HF_CLEANUP_FREE char *name = NULL;
    HfNotes notes = {0};

    hf_snapshot_init(&snapshot);
    int r = hf_name_of_instance(settings, &name);
    if (r >= 0)
        r = hf_adoption_read(fd, &snapshot, &notes, &error);
    if (r >= 0)
        r = fill(NULL, &notes, &snapshot, &error);
    hf_notes_clear(&notes, true);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "%s", error.length > 0 ? hf_text_peek(&error) : strerror(-r));
        return EXIT_FAILURE;
    }
    return puts(HF_SELF_PASSED) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- resuming ---- */

static int restore_wanted(HfSnapshotWanted *from)
{
    HfPlan *plan = from->plan;
    HfListenerSpec spec = from->listener->spec; /* strings are borrowed */
    HfPlanned *planned;

    spec.address = from->planned.spec.address;
    spec.name = from->planned.spec.name;
    int r = hf_plan_want(plan, &spec, &planned);
    if (r < 0)
        return r;
    planned->pool = from->planned.pool;
    planned->status = from->planned.status;
    planned->alias = HF_STEAL(from->planned.alias);
    return hf_plan_add_listener(plan, from->listener);
}

static int restore_plans(const HfSnapshot *snapshot, HfText *error)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < snapshot->wanted.n; i++)
        r = restore_wanted(snapshot->wanted.items[i]);
    for (size_t i = 0; r >= 0 && i < snapshot->plans.n; i++)
        r = hf_plan_place(snapshot->plans.items[i], error);
    return r;
}

/* They belong to the supervisor even if something cannot be watched, as their processes live. */
static int restore_generations(HfSupervisor *supervisor, HfSnapshot *snapshot,
                               const HfGenerationCallbacks *callbacks)
{
    int r = 0;

    for (size_t i = 0; i < snapshot->generations.n; i++) {
        HfGeneration *generation = snapshot->generations.items[i];
        bool starting =
            supervisor->machine.generations[generation->slot].stage == HF_STAGE_STARTING;
        supervisor->generations[generation->slot] = generation;
        int failed = hf_generation_restore(generation, supervisor->loop, supervisor->reaper,
                                           &supervisor->runtime, starting, callbacks);
        r = r < 0 ? r : failed;
    }
    snapshot->generations.n = 0;
    return r;
}

/* Reports slots whose process was not handed over as exited. */
static void report_missing(HfSupervisor *supervisor)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i] && supervisor->generations[i]->main_exited &&
            !supervisor->machine.generations[i].main_exited)
            hf_supervisor_post(
                supervisor, &(HfEvent){.type = HF_EVENT_MAIN_EXITED,
                                       .slot = i,
                                       .number = supervisor->machine.generations[i].number,
                                       .status = EXIT_FAILURE,
                                       .remain = hf_generation_serves(supervisor->generations[i])});
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->machine.generations[i].stage != HF_STAGE_EMPTY &&
            !supervisor->generations[i])
            hf_supervisor_post(supervisor,
                               &(HfEvent){.type = HF_EVENT_GONE,
                                          .slot = i,
                                          .number = supervisor->machine.generations[i].number,
                                          .status = EXIT_FAILURE});
}

int hf_adoption_restore(HfSupervisor *supervisor, HfSnapshot *snapshot,
                        const HfGenerationCallbacks *callbacks, HfText *error)
{
    const HfMachineLimits limits = supervisor->machine.limits;

    int r = restore_plans(snapshot, error);
    if (r >= 0)
        r = restore_activated(supervisor, snapshot);
    if (r < 0)
        return r;
    for (size_t i = 0; i < snapshot->listeners.n; i++)
        ((HfListener *)snapshot->listeners.items[i])->stays = false;
    supervisor->machine = snapshot->machine;
    supervisor->machine.limits = supervisor->machine.before = limits;
    steer_all(snapshot, supervisor->machine.side, hf_parts_have(supervisor->parts, "fallback"));
    supervisor->raised = hf_machine_is_unserved(&snapshot->machine);
    supervisor->pid_file = HF_STEAL(snapshot->pid_file);
    if (snapshot->current >= 0)
        supervisor->current = hf_plan_ref(snapshot->plans.items[snapshot->current]);
    r = restore_generations(supervisor, snapshot, callbacks);
    hf_snapshot_clear(snapshot);
    report_missing(supervisor);
    return r;
}
