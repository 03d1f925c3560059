/* SPDX-License-Identifier: MIT */
#include "parts/inherit/inherit_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "kernel/cgroup.h"
#include "kernel/owner.h"
#include "kernel/socket.h"
#include "loop/cgroups.h"
#include "loop/resolved_listener.h"
#include "parts/inherit/shared_listener.h"

HfOrphans *hf_orphans_free(HfOrphans *orphans)
{
    if (!orphans)
        return NULL;
    hf_process_set_free(orphans->set);
    hf_process_list_clear(&orphans->found);
    hf_process_list_clear(&orphans->holders);
    hf_process_list_clear(&orphans->leaving);
    free(orphans->unit);
    hf_listener_array_clear(&orphans->held, &orphans->n_held);
    free(orphans);
    return NULL;
}

/* ---- finding them ---- */

static bool is_known(const HfSupervisor *supervisor, pid_t pid)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfGeneration *generation = supervisor->generations[i];
        if (generation &&
            (generation->main.pid == pid || hf_members_has(&generation->members, pid)))
            return true;
    }
    /* helpers of another holdfast end by themselves */
    return pid == getpid() || hf_process_is_descendant(pid, NULL) > 0 || hf_process_runs_ours(pid);
}

static int list_orphan(HfProcess *process, void *userdata)
{
    return hf_process_list_add(userdata, process->pid);
}

static int is_orphan_in(pid_t pid, const void *wanted)
{
    const HfOrphans *orphans = wanted;

    int r = hf_cgroup_holds(orphans->unit, pid);
    return r > 0 ? !is_known(orphans->supervisor, pid) : r;
}

/* If holdfast died between spawn and snapshot, only the fd store knows the main process. */
static int add_stored(HfOrphans *orphans, HfNotes *notes)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < notes->n; i++) {
        pid_t pid;
        if (notes->list[i].fd < 0 || hf_process_of_pidfd(notes->list[i].fd, &pid) < 0 ||
            is_known(orphans->supervisor, pid) || hf_process_is_listed(pid, &orphans->found) > 0)
            continue;
        r = hf_process_list_add(&orphans->found, pid);
        if (r >= 0)
            notes->list[i].fd = hf_fd_close(notes->list[i].fd);
    }
    return r;
}

/* No store knows a canary, but its first socket has a name that is ours alone. */
static int add_canary(HfOrphans *orphans)
{
    struct sockaddr_storage name;
    HfAddress address;
    socklen_t length;
    HfOwner owner;

    if (hf_runtime_canary(&orphans->supervisor->runtime, 0, &address) < 0 ||
        hf_address_to_sockaddr(&address, &name, &length) < 0 ||
        hf_owner_find(&name, length, &owner) < 0 || is_known(orphans->supervisor, owner.pid) ||
        hf_process_is_listed(owner.pid, &orphans->found) > 0)
        return 0;
    return hf_process_list_add(&orphans->found, owner.pid);
}

static int find_all(HfOrphans *orphans, HfNotes *notes)
{
    int r = hf_own_unit_cgroup(&orphans->unit);
    if (r >= 0 && orphans->unit)
        r = hf_process_visit(is_orphan_in, orphans, list_orphan, &orphans->found);
    if (r >= 0)
        r = add_canary(orphans);
    return r < 0 ? r : add_stored(orphans, notes);
}

static void log_found(const HfOrphans *orphans)
{
    HF_CLEANUP_NAMES HfProcessNames names = {0};

    for (size_t i = 0; i < orphans->found.n; i++)
        hf_process_names_add(&names, orphans->found.list[i].pid);
    hf_log(LOG_NOTICE, NULL, "left by a dead holdfast, and part of no known generation: %s",
           hf_process_names_text(&names));
}

void hf_orphans_find(HfSupervisor *supervisor, HfOrphans **place)
{
    HfOrphans *orphans = calloc(1, sizeof(*orphans));
    int r = -ENOMEM;

    if (orphans) {
        orphans->supervisor = supervisor;
        orphans->place = place;
        r = find_all(orphans, &supervisor->notes);
    }
    if (r < 0)
        hf_log(LOG_WARNING, &(HfLogFields){.error = r},
               "what a dead holdfast left in this unit cannot be examined, and is left alone");
    if (r < 0 || orphans->found.n == 0) {
        hf_orphans_free(orphans);
        return;
    }
    log_found(orphans);
    *place = orphans;
    if (hf_supervisor_active(supervisor))
        hf_orphans_begin(orphans, supervisor->current);
}

/* ---- their sockets ---- */

/* Returns 0, -ENOENT when none of them listens there, or -EACCES when one of them may. */
static int find_holder(const HfOrphans *orphans, const HfResolvedListener *resolved, pid_t *ret)
{
    HfOwner owner;

    int r = hf_owner_find(resolved->request.address, resolved->request.address_length, &owner);
    if (r < 0)
        return r == -EACCES ? r : -ENOENT;
    if (hf_process_is_listed(owner.pid, &orphans->found) <= 0)
        return -ENOENT;
    *ret = owner.pid;
    return 0;
}

static int add_held(HfOrphans *orphans, HfListener *held)
{
    HfListener **grown = reallocarray(orphans->held, orphans->n_held + 1, sizeof(HfListener *));

    if (!grown)
        return -ENOMEM;
    orphans->held = grown;
    grown[orphans->n_held++] = held;
    return 0;
}

/* A wildcard blocks a single address, but is not the same socket; and O_NONBLOCK, which all holders
 * share, is an error to php-fpm's workers. */
static bool fits(const HfPlan *plan, const HfResolvedListener *resolved, int i,
                 const HfListener *held)
{
    HfAddress address;

    if (plan->adapter->needs_blocking && (fcntl(held->fds[0], F_GETFL) & O_NONBLOCK))
        return false;
    return hf_address_is_path(&held->spec.address) ||
           (hf_address_from_sockaddr(&resolved->addresses[i], resolved->lengths[i], &address) ==
                0 &&
            hf_address_equal(&address, &held->bound));
}

typedef struct Sides {
    int fds[HF_SIDES]; /* the one that gets connections comes first */
    unsigned places[HF_SIDES];
    unsigned n;
} Sides;

static void close_from(Sides *sides, unsigned n)
{
    while (sides->n > n)
        hf_fd_close(sides->fds[--sides->n]);
}

static void add_copy(Sides *sides, int fd)
{
    struct stat known;
    struct stat status;
    bool new = sides->n < HF_SIDES &&fstat(fd, &status) == 0;

    for (unsigned i = 0; i < sides->n && new; i++)
        new = fstat(sides->fds[i], &known) == 0 && known.st_ino != status.st_ino;
    if (new)
        sides->fds[sides->n++] = fd;
    else
        hf_fd_close(fd);
}

static int copy_from(pid_t pid, const HfOrphans *orphans, const HfResolvedListener *resolved,
                     Sides *sides)
{
    HfProcess process = HF_PROCESS_NONE;
    int fds[HF_SIDES];

    int r = hf_process_open_match(pid, hf_process_is_listed, &orphans->found, &process);
    if (r <= 0)
        return r < 0 ? r : -ESRCH;
    int n = hf_takeover_copy_all(&process, resolved->request.address,
                                 resolved->request.address_length, fds, HF_SIDES);
    hf_process_clear(&process);
    for (int i = 0; i < n; i++)
        add_copy(sides, fds[i]);
    return n;
}

/* What belongs to several listeners, or whose order is unknown, is left but for the first. */
static void put_in_order(Sides *sides)
{
    bool noted = true;

    for (unsigned i = 0; i < sides->n && noted; i++) {
        bool current = false;
        noted = hf_steer_noted(sides->fds[i], &current, &sides->places[i]);
        if (!noted || !current)
            continue;
        int fd = sides->fds[0];
        unsigned place = sides->places[0];
        sides->fds[0] = sides->fds[i];
        sides->places[0] = sides->places[i];
        sides->fds[i] = fd;
        sides->places[i] = place;
    }
    if (!noted || !hf_steer_settle(sides->places, sides->n)) {
        close_from(sides, 1);
        sides->places[0] = 0;
    }
}

/* Each generation has but the side that it was started on. */
static int collect(const HfOrphans *orphans, const HfResolvedListener *resolved, pid_t holder,
                   Sides *sides)
{
    bool path = resolved->request.address->ss_family == AF_UNIX;

    int r = copy_from(holder, orphans, resolved, sides);
    for (size_t i = 0; r >= 0 && i < orphans->found.n && !path && sides->n > 0 &&
                       hf_steer_count(sides->fds[0], sides->n) > sides->n;
         i++)
        (void)copy_from(orphans->found.list[i].pid, orphans, resolved, sides);
    if (r >= 0 && sides->n == 0)
        r = -ENOENT;
    if (r >= 0)
        put_in_order(sides);
    return r;
}

static int take_sides(const HfOrphans *orphans, const HfListenerSpec *spec, Sides *sides,
                      HfListener **ret)
{
    int r = hf_listener_take(sides->fds[0], spec, ret);
    sides->fds[0] = -1;
    if (r < 0)
        return r;
    (*ret)->places[0] = sides->places[0];
    for (unsigned i = 1; r >= 0 && i < sides->n; i++) {
        r = hf_shared_listener_add_side(*ret, sides->fds[i], sides->places[i], &(HfSocketInode){0});
        sides->fds[i] = -1;
    }
    if (r >= 0 && hf_address_is_path(&spec->address))
        r = hf_takeover_add_hidden(*ret, hf_process_is_listed, &orphans->found);
    if (r >= 0) /* as the numbers are now */
        r = hf_listener_steer(*ret, (*ret)->side);
    if (r < 0)
        hf_listener_unref(*ret);
    return r;
}

static int copy(HfOrphans *orphans, const HfPlan *plan, const HfListenerSpec *spec,
                const HfResolvedListener *resolved, int i, pid_t holder)
{
    Sides sides = {0};
    HfListener *held;

    int r = collect(orphans, resolved, holder, &sides);
    if (r >= 0)
        r = take_sides(orphans, spec, &sides, &held);
    close_from(&sides, 0);
    if (r < 0)
        return r;
    r = fits(plan, resolved, i, held) ? add_held(orphans, held) : -EADDRINUSE;
    if (r < 0)
        hf_listener_unref(held);
    return r;
}

static int offer_one(HfOrphans *orphans, const HfPlan *plan, const HfListenerSpec *spec,
                     HfText *error)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    int found = hf_resolved_listener_find(spec, &resolved, error);

    for (int i = 0; found >= 0 && i < resolved.n; i++) {
        hf_resolved_listener_aim(&resolved, i);
        pid_t pid = 0;
        int r = find_holder(orphans, &resolved, &pid);
        if (r == -ENOENT)
            continue;
        if (r < 0) {
            hf_text_addf(error,
                         "the process that listens at %s cannot be examined, and may be one that a "
                         "dead holdfast left; the address is bound once those have left",
                         resolved.label);
            return -EADDRINUSE;
        }
        r = hf_process_list_add(&orphans->holders, pid);
        if (r >= 0)
            r = copy(orphans, plan, spec, &resolved, i, pid);
        if (r >= 0) {
            const HfListener *held = orphans->held[orphans->n_held - 1];
            hf_log(LOG_NOTICE, NULL, "%s is copied out of pid %d, which a dead holdfast left%s",
                   resolved.label, (int)pid,
                   hf_listener_has_sides(held) ? ", and its other sides out of who has them" : "");
            return 0;
        }
        hf_text_addf(error,
                     "%s is held by pid %d, which a dead holdfast left, and cannot be copied out "
                     "of it: %s; the address is bound once that has left",
                     resolved.label, (int)pid, strerror(-r));
        return -EADDRINUSE;
    }
    return found;
}

int hf_orphans_offer(HfOrphans *orphans, const HfPlan *plan, HfListener *const *held, size_t n,
                     HfText *error)
{
    HfOrphans **place = orphans ? orphans->place : NULL;
    int r = 0;

    for (size_t i = 0; orphans && r >= 0 && i < plan->n_wanted; i++) {
        const HfListenerSpec *spec = &plan->wanted[i].spec;
        if (!hf_listener_find(held, n, spec) &&
            !hf_listener_find(orphans->held, orphans->n_held, spec))
            r = offer_one(orphans, plan, spec, error);
    }
    if (r != -EADDRINUSE)
        return r;
    hf_orphans_begin(orphans, plan);
    if (*place)
        return r;
    hf_text_clear(error); /* another process has it: binding will tell */
    return 0;
}

/* ---- choosing those that leave ---- */

static bool runs(pid_t pid, const char *path)
{
    const char *slash = strrchr(path, '/');
    HfProgram program;
    struct stat status;

    if (hf_process_program(pid, &program) < 0)
        return false;
    if (stat(path, &status) == 0 && program.inode != 0 && program.inode == status.st_ino &&
        program.device == status.st_dev)
        return true;
    /* replaced on disk since, or a script */
    return strncmp(program.comm, slash ? slash + 1 : path, sizeof(program.comm) - 1) == 0;
}

static void mark_holders(HfOrphans *orphans, const HfPlan *plan)
{
    HfHeldSockets sockets;

    if (hf_listener_identify(plan->listeners, plan->n_listeners, &sockets) < 0)
        return;
    for (size_t i = 0; i < orphans->found.n; i++)
        if (hf_process_is_holder(orphans->found.list[i].pid, &sockets) > 0)
            hf_process_list_add(&orphans->holders, orphans->found.list[i].pid);
    hf_held_sockets_clear(&sockets);
}

/* ---- asking them to leave ---- */

static void on_orphans_gone(void *userdata)
{
    HfOrphans *orphans = userdata;
    HfSupervisor *supervisor = orphans->supervisor;
    bool wanted = orphans->wanted;

    if (!hf_process_set_left_some(orphans->set))
        hf_log(LOG_INFO, NULL, "what a dead holdfast left has gone");
    hf_runtime_sweep(&supervisor->runtime);
    *orphans->place = NULL;
    hf_orphans_free(orphans);
    if (wanted)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_UNBLOCKED});
}

static int choose(HfOrphans *orphans, const HfPlan *plan)
{
    int r = 0;

    mark_holders(orphans, plan);
    for (size_t i = 0; r >= 0 && i < orphans->found.n; i++) {
        pid_t pid = orphans->found.list[i].pid;
        if (plan->kill_mode == HF_KILL_MODE_ALL || runs(pid, plan->program) ||
            hf_process_is_listed(pid, &orphans->holders) > 0)
            r = hf_process_list_add(&orphans->leaving, pid);
    }
    return r;
}

void hf_orphans_begin(HfOrphans *orphans, const HfPlan *plan)
{
    if (!orphans || orphans->set)
        return;
    for (size_t i = 0; i < orphans->n_held && plan == orphans->supervisor->current; i++)
        orphans->held[i]->taken = false; /* in use now, and their paths are ours */
    hf_listener_array_clear(&orphans->held, &orphans->n_held);
    const HfProcessSetSpec spec = {
        .loop = orphans->supervisor->loop,
        .match = hf_process_is_listed,
        .wanted = &orphans->leaving,
        .who = "a dead holdfast",
        .told = "left by a dead holdfast and",
        .gone = on_orphans_gone,
        .userdata = orphans,
    };
    int r = choose(orphans, plan);
    if (r >= 0 && orphans->leaving.n > 0)
        r = hf_process_set_new(&spec, &orphans->set);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r},
               "the processes that a dead holdfast left cannot be waited for, and are left alone");
    if (!orphans->set) {
        *orphans->place = NULL;
        hf_orphans_free(orphans);
        return;
    }
    const HfEscalation escalation = {.first = plan->stop_signal, .patience = plan->drain_timeout};
    hf_process_set_end(orphans->set, &escalation);
}

bool hf_orphans_await(HfOrphans *orphans)
{
    if (!orphans || !orphans->set)
        return false;
    orphans->wanted = true;
    return true;
}

void hf_orphans_forget(HfOrphans *orphans)
{
    if (orphans)
        orphans->wanted = false;
}
