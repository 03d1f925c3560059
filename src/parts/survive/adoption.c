#include "parts/survive/adoption.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/memfile.h"
#include "parts/survive/serialize.h"
#include "run/crash_point.h"

static bool has_kind(const HfStored *stored, char kind)
{
    return stored->name[strlen("hf-")] == kind && stored->fd >= 0;
}

/* The newest one that is whole. */
static bool find_snapshot(const HfInstance *start, HfSnapshot *ret)
{
    bool found = false;

    for (size_t i = 0; i < start->n_stored; i++) {
        HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
        HF_CLEANUP_FREE char *text = NULL;
        size_t length;
        hf_snapshot_init(&snapshot);
        if (!has_kind(&start->stored[i], 's') ||
            hf_memfile_read(start->stored[i].fd, HF_SNAPSHOT_MAX, &text, &length) < 0 ||
            hf_snapshot_read(text, length, &snapshot) < 0 ||
            (found && snapshot.sequence < ret->sequence))
            continue;
        hf_snapshot_clear(ret);
        *ret = snapshot;
        hf_snapshot_init(&snapshot);
        found = true;
    }
    return found;
}

static ino_t inode_of(int fd)
{
    struct stat status;

    return fd < 0 || fstat(fd, &status) < 0 ? 0 : status.st_ino;
}

/* Of those that a .socket unit passed again: the object gives way to the one of the snapshot. */
static int take_received(HfSupervisor *supervisor, uint64_t socket)
{
    for (size_t i = 0; i < supervisor->n_received; i++) {
        if (hf_listener_socket(supervisor->received[i]) != socket)
            continue;
        int fd = fcntl(supervisor->received[i]->fd, F_DUPFD_CLOEXEC, 0);
        hf_listener_unref(supervisor->received[i]);
        supervisor->received[i] = supervisor->received[--supervisor->n_received];
        return fd;
    }
    return -1;
}

static int take_stored(HfInstance *start, uint64_t socket)
{
    for (size_t i = 0; i < start->n_stored; i++)
        if (has_kind(&start->stored[i], 'l') && inode_of(start->stored[i].fd) == socket)
            return hf_fd_steal(&start->stored[i].fd);
    return -1;
}

static void fill_listener(HfSupervisor *supervisor, HfInstance *start, HfSnapshotListener *listener)
{
    listener->fd = listener->received ? take_received(supervisor, listener->socket)
                                      : take_stored(start, listener->socket);
    listener->stored = !listener->received;
}

/* systemd drops the pidfd of a process that has ended: its number is looked at once more. */
static int open_again(const HfSnapshotGeneration *generation)
{
    uint64_t started;
    HF_CLEANUP_FD int pidfd = pidfd_open((pid_t)generation->pid, 0);

    if (pidfd < 0 || hf_process_started((pid_t)generation->pid, &started) < 0 ||
        started != generation->started)
        return -1;
    return hf_fd_steal(&pidfd);
}

static void fill_generation(HfInstance *start, HfSnapshotGeneration *generation)
{
    pid_t pid;

    if (generation->main_exited)
        return;
    for (size_t i = 0; i < start->n_stored && generation->pidfd < 0; i++)
        if (has_kind(&start->stored[i], 'p') &&
            hf_process_of_pidfd(start->stored[i].fd, &pid) == 0 && pid == (pid_t)generation->pid)
            generation->pidfd = hf_fd_steal(&start->stored[i].fd);
    if (generation->pidfd < 0)
        generation->pidfd = open_again(generation);
    generation->main_exited = generation->pidfd < 0; /* how it ended is not known */
}

/* A descriptor of the snapshot is one of the process that wrote it: none of them is ours. */
static void forget_numbers(HfSnapshot *snapshot)
{
    int *fd;

    for (size_t i = 0; (fd = hf_serialize_fd(snapshot, i)); i++)
        *fd = -1;
}

static int take_notify(HfInstance *start, const char *path)
{
    struct stat found;

    for (size_t i = 0; i < start->n_stored; i++)
        if (has_kind(&start->stored[i], 'n') && lstat(path, &found) == 0 && S_ISSOCK(found.st_mode))
            return hf_fd_steal(&start->stored[i].fd);
    return -1;
}

/* For the first plan to choose among, with what is known of their paths. */
static int keep_listeners(HfSupervisor *supervisor, HfSnapshot *snapshot)
{
    supervisor->kept = calloc(snapshot->n_listeners + 1, sizeof(HfListener *));
    if (!supervisor->kept)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->n_listeners; i++) {
        HfSnapshotListener *listener = &snapshot->listeners[i];
        const HfSocketInode inode = {listener->device, listener->inode};
        if (listener->fd < 0)
            continue;
        HfListener **kept = &supervisor->kept[supervisor->n_kept];
        int r = hf_listener_restore(hf_fd_steal(&listener->fd), &listener->spec, &inode,
                                    listener->received, kept);
        if (r < 0)
            return r;
        (*kept)->stored = listener->stored;
        supervisor->n_kept++;
    }
    return 0;
}

/* Bound, but in no snapshot: nobody has been told of it yet. */
static void drop_rest(const HfInstance *start)
{
    for (size_t i = 0; i < start->n_stored; i++)
        if (has_kind(&start->stored[i], 'l'))
            hf_fd_store_forget_listener(inode_of(start->stored[i].fd));
}

static bool can_adopt(const HfSnapshot *snapshot)
{
    HF_CLEANUP_TEXT HfText error = {0};

    if (snapshot->machine.phase == HF_PHASE_NEW || snapshot->machine.phase == HF_PHASE_ENDED)
        return false;
    if (hf_serialize_check(snapshot, &error) == 0)
        return true;
    hf_log(LOG_ERR, NULL,
           "what a holdfast that died has left cannot be adopted, a new generation is started: %s",
           hf_text_peek(&error));
    return false;
}

int hf_instance_stored(HfSupervisor *supervisor, HfInstance *start)
{
    HfSnapshot *snapshot = &start->snapshot;
    int r = 0;

    if (!find_snapshot(start, snapshot)) {
        drop_rest(start);
        return 0;
    }
    HF_CRASH_POINT("adopt-found");
    start->sequence = snapshot->sequence;
    forget_numbers(snapshot);
    for (size_t i = 0; i < snapshot->n_listeners; i++)
        fill_listener(supervisor, start, &snapshot->listeners[i]);
    for (size_t i = 0; i < snapshot->n_generations; i++)
        fill_generation(start, &snapshot->generations[i]);
    HF_CRASH_POINT("adopt-filled");
    if (can_adopt(snapshot)) {
        start->event = HF_EVENT_ADOPT;
        snapshot->notify_fd = take_notify(start, supervisor->runtime.notify);
    } else {
        r = keep_listeners(supervisor, snapshot);
    }
    drop_rest(start);
    HF_CRASH_POINT("adopt-taken");
    return r;
}
