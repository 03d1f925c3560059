#include "parts/inherit/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"
#include "kernel/owner.h"
#include "kernel/socket_copy.h"
#include "run/members.h"
#include "run/own_unit.h"
#include "run/resolved_listener.h"

HfOrphans *hf_orphans_free(HfOrphans *strays)
{
    if (!strays)
        return NULL;
    hf_escalation_free(strays->ladder);
    for (size_t i = 0; i < strays->n; i++)
        hf_process_clear(&strays->list[i].process);
    free(strays->list);
    hf_listener_array_clear(&strays->held, &strays->n_held);
    free(strays);
    return NULL;
}

/* ---- who they are ---- */

/* Relays and the like of another holdfast end by themselves. */
static bool runs_holdfast(pid_t pid)
{
    HfProgram own;
    HfProgram program;

    return hf_process_program(getpid(), &own) == 0 && hf_process_program(pid, &program) == 0 &&
           (hf_program_same(&program, &own) || strcmp(program.comm, own.comm) == 0);
}

static bool is_known(const HfSupervisor *supervisor, pid_t pid)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfGeneration *generation = supervisor->generations[i];
        if (generation && (generation->main.pid == pid || hf_members_has(generation, pid)))
            return true;
    }
    return pid == getpid() || hf_process_is_descendant(pid) || runs_holdfast(pid);
}

static bool has(const HfOrphans *strays, pid_t pid)
{
    for (size_t i = 0; i < strays->n; i++)
        if (strays->list[i].process.pid == pid)
            return true;
    return false;
}

/* Takes the pidfd over when it succeeds. */
static int add(HfOrphans *strays, HfProcess *process)
{
    HfOrphan *grown = reallocarray(strays->list, strays->n + 1, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    strays->list = grown;
    grown[strays->n++] = (HfOrphan){.process = *process};
    *process = HF_PROCESS_NONE;
    return 0;
}

/* A death between spawn and snapshot leaves a main process that only the store knows. */
static int add_stored(HfOrphans *strays, HfNotes *notes)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < notes->n; i++) {
        HfProcess process = {.pidfd = notes->list[i].fd};
        if (process.pidfd < 0 || hf_process_of_pidfd(process.pidfd, &process.pid) < 0 ||
            is_known(strays->supervisor, process.pid) || has(strays, process.pid))
            continue;
        r = add(strays, &process);
        if (r >= 0)
            notes->list[i].fd = -1;
    }
    return r;
}

static int open_listed(HfOrphans *strays, const pid_t *pids, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        HfProcess process;
        if (is_known(strays->supervisor, pids[i]) || has(strays, pids[i]) ||
            hf_process_open(pids[i], &process) < 0)
            continue;
        r = add(strays, &process);
        hf_process_clear(&process);
    }
    return r;
}

/* Whose number was another's when the list was made is not in the next one. */
static void keep_listed(HfOrphans *strays, const pid_t *pids, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < strays->n; i++) {
        HfOrphan *stray = &strays->list[i];
        if (hf_own_unit_lists(pids, n, stray->process.pid) &&
            hf_process_signal(stray->process.pidfd, 0) != -ESRCH)
            strays->list[kept++] = *stray;
        else
            hf_process_clear(&stray->process);
    }
    strays->n = kept;
}

static int find_all(HfOrphans *strays, HfNotes *notes)
{
    HF_CLEANUP_FREE pid_t *first = NULL;
    HF_CLEANUP_FREE pid_t *second = NULL;
    size_t n_first;
    size_t n_second;

    int r = hf_own_unit_processes(&first, &n_first);
    if (r >= 0)
        r = open_listed(strays, first, n_first);
    if (r >= 0)
        r = hf_own_unit_processes(&second, &n_second);
    if (r >= 0)
        keep_listed(strays, second, n_second);
    return r < 0 ? r : add_stored(strays, notes);
}

static void tell_found(const HfOrphans *strays)
{
    HF_CLEANUP_FREE HfProcess *processes = calloc(strays->n, sizeof(*processes));
    HF_CLEANUP_TEXT HfText text = {0};

    if (!processes)
        return;
    for (size_t i = 0; i < strays->n; i++)
        processes[i] = strays->list[i].process;
    hf_members_describe(processes, strays->n, &text);
    hf_log(LOG_NOTICE, NULL, "left by a holdfast that died, and of no generation that is known: %s",
           hf_text_peek(&text));
}

void hf_orphans_find(HfSupervisor *supervisor, HfOrphans **place)
{
    HfOrphans *strays = calloc(1, sizeof(*strays));
    int r = -ENOMEM;

    if (strays) {
        strays->supervisor = supervisor;
        strays->place = place;
        r = find_all(strays, &supervisor->notes);
    }
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields,
               "what a holdfast that died left in this unit cannot be looked at, it is left");
    }
    if (r < 0 || strays->n == 0) {
        hf_orphans_free(strays);
        return;
    }
    tell_found(strays);
    *place = strays;
    if (hf_supervisor_active(supervisor))
        hf_orphans_begin(strays, supervisor->current);
}

/* ---- what they hold ---- */

/* Returns 0, -ENOENT when none of them listens there, or -EACCES when one of them might. */
static int find_holder(const HfOrphans *strays, const HfResolvedListener *target, HfOrphan **ret)
{
    HfOwner owner;

    int r = hf_owner_find(target->request.address, target->request.address_length, &owner);
    if (r < 0)
        return r == -EACCES ? r : -ENOENT;
    for (size_t i = 0; i < strays->n; i++) {
        if (strays->list[i].process.pid != owner.pid)
            continue;
        *ret = &strays->list[i];
        return 0;
    }
    return -ENOENT;
}

static int keep(HfOrphans *strays, HfListener *held)
{
    HfListener **grown = reallocarray(strays->held, strays->n_held + 1, sizeof(HfListener *));

    if (!grown)
        return -ENOMEM;
    strays->held = grown;
    grown[strays->n_held++] = held;
    return 0;
}

/* A wildcard stands in the way of one address, but is not that; php-fpm's workers take O_NONBLOCK,
 * which all holders share, for an error. */
static bool fits(const HfPlan *plan, const HfResolvedListener *target, int i,
                 const HfListener *held)
{
    HfAddress address;

    if (plan->adapter->needs_blocking && (fcntl(held->fd, F_GETFL) & O_NONBLOCK))
        return false;
    return hf_address_is_path(&held->spec.address) ||
           (hf_address_from_sockaddr(&target->addresses[i], target->lengths[i], &address) == 0 &&
            hf_address_equal(&address, &held->bound));
}

static int copy(HfOrphans *strays, const HfPlan *plan, const HfListenerSpec *spec,
                const HfResolvedListener *target, int i, const HfOrphan *holder)
{
    HfListener *held;
    int fd;

    int r = hf_takeover_copy(&holder->process, target->request.address,
                             target->request.address_length, &fd);
    if (r >= 0)
        r = hf_listener_take(fd, spec, &held);
    if (r < 0)
        return r;
    r = fits(plan, target, i, held) ? keep(strays, held) : -EADDRINUSE;
    if (r < 0)
        hf_listener_unref(held);
    return r;
}

static int lend_one(HfOrphans *strays, const HfPlan *plan, const HfListenerSpec *spec,
                    HfText *error)
{
    HF_CLEANUP_TARGET HfResolvedListener target = {0};
    int found = hf_resolved_listener_find(spec, &target, error);

    for (int i = 0; found >= 0 && i < target.n; i++) {
        hf_resolved_listener_aim(&target, i);
        HfOrphan *holder;
        int r = find_holder(strays, &target, &holder);
        if (r == -ENOENT)
            continue;
        if (r < 0) {
            hf_text_addf(error,
                         "who listens at %s may not be looked at, it may be one of those that a "
                         "holdfast that died left; it is bound once those have left",
                         target.label);
            return -EADDRINUSE;
        }
        holder->holds = true;
        int pid = (int)holder->process.pid;
        r = copy(strays, plan, spec, &target, i, holder);
        if (r >= 0) {
            hf_log(LOG_NOTICE, NULL, "%s is copied out of pid %d, which a holdfast that died left",
                   target.label, pid);
            return 0;
        }
        hf_text_addf(error,
                     "%s is held by pid %d, which a holdfast that died left, and cannot be "
                     "copied out of it: %s; it is bound once that has left",
                     target.label, pid, strerror(-r));
        return -EADDRINUSE;
    }
    return found;
}

int hf_orphans_lend(HfOrphans *strays, const HfPlan *plan, HfListener *const *held, size_t n,
                    HfText *error)
{
    HfOrphans **place = strays ? strays->place : NULL;
    int r = 0;

    for (size_t i = 0; strays && r >= 0 && i < plan->n_wanted; i++) {
        const HfListenerSpec *spec = &plan->wanted[i].spec;
        if (!hf_listener_find(held, n, spec) &&
            !hf_listener_find(strays->held, strays->n_held, spec))
            r = lend_one(strays, plan, spec, error);
    }
    if (r != -EADDRINUSE)
        return r;
    hf_orphans_begin(strays, plan);
    if (*place)
        return r;
    hf_text_clear(error); /* it is none of them: binding tells what it is */
    return 0;
}
