/* SPDX-License-Identifier: MIT */
#include "parts/inherit/inherit_parts.h"
#include "parts/inherit/shared_listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "kernel/members.h"
#include "kernel/owner.h"
#include "kernel/socket.h"
#include "loop/resolved_listener.h"
#include "run/members.h"
#include "run/supervisor.h"

static void explain_copy(const HfTakeover *takeover, const char *label, int r, HfText *error)
{
    int pid = (int)takeover->holder.pid;

    if (r == -EPERM || r == -EACCES)
        hf_text_addf(error,
                     "%s cannot be copied out of %s (pid %d): not permitted; run holdfast as root "
                     "or as the user of that process with CAP_SYS_PTRACE, and in a container allow "
                     "pidfd_getfd (systemd-nspawn --system-call-filter=pidfd_getfd)",
                     label, takeover->name, pid);
    else if (r == -ESRCH)
        hf_text_addf(error, "%s (pid %d) has ended meanwhile; leave out --take-over",
                     takeover->name, pid);
    else if (r == -ENOSYS)
        hf_text_add(error, "--take-over needs Linux 5.6 (pidfd_getfd)");
    else
        hf_text_addf(error, "%s cannot be copied out of %s (pid %d): %s", label, takeover->name,
                     pid, strerror(-r));
}

static int explain_other(const HfTakeover *takeover, const HfResolvedListener *resolved,
                         HfText *error)
{
    HfOwner owner;

    hf_text_addf(error, "%s is not among the sockets of %s (pid %d)", resolved->label,
                 takeover->name, (int)takeover->holder.pid);
    if (hf_owner_find(resolved->request.address, resolved->request.address_length, &owner) == 0)
        hf_text_addf(error, ", but of %s (pid %d)", owner.program, (int)owner.pid);
    hf_text_add(error, "; all must be of one server");
    return -ENOTCONN;
}

/* 0.0.0.0:9000 blocks 127.0.0.1:9000, but is not the same socket. */
static int check_same(const HfTakeover *takeover, const HfResolvedListener *resolved,
                      const HfListener *held, HfText *error)
{
    HfAddress address;
    char bound[HF_ADDRESS_TEXT_MAX];

    if (hf_address_is_path(&held->spec.address))
        return 0;
    for (int i = 0; i < resolved->n; i++)
        if (hf_address_from_sockaddr(&resolved->addresses[i], resolved->lengths[i], &address) ==
                0 &&
            hf_address_equal(&address, &held->bound))
            return 0;
    hf_address_format(&held->bound, bound);
    hf_text_addf(error, "%s (pid %d) listens at %s, not at %s; make the two the same",
                 takeover->name, (int)takeover->holder.pid, bound, resolved->label);
    return -EADDRNOTAVAIL;
}

/* O_NONBLOCK, which all holders share, is an error to php-fpm's workers: they exit. */
static int check_blocking(const HfPlan *plan, const HfListener *held, HfText *error)
{
    if (!plan->adapter->needs_blocking || !(fcntl(held->fds[0], F_GETFL) & O_NONBLOCK))
        return 0;
    hf_text_addf(error,
                 "%s is a non-blocking socket, with which php-fpm does not work; it cannot be "
                 "taken over",
                 held->label);
    return -EINVAL;
}

static int add_copy(HfTakeover *takeover, int fd, const HfListenerSpec *spec, HfListener **ret)
{
    HF_CLEANUP_FD int owned = fd;
    HfListener **grown = reallocarray(takeover->held, takeover->n_held + 1, sizeof(HfListener *));

    if (!grown)
        return -ENOMEM;
    takeover->held = grown;
    int r = hf_listener_take(hf_fd_steal(&owned), spec, ret);
    if (r >= 0)
        takeover->held[takeover->n_held++] = *ret;
    return r;
}

static int identify(HfTakeover *takeover, HfText *error)
{
    int r = hf_process_program(takeover->holder.pid, &takeover->program);
    if (r < 0) {
        hf_text_addf(error, "pid %d has ended meanwhile; leave out --take-over",
                     (int)takeover->holder.pid);
        return r;
    }
    const char *comm = takeover->program.comm;
    if (takeover->name[0] == '\0')
        hf_text_printable(comm, strlen(comm), takeover->name, sizeof(takeover->name));
    takeover->life.master = hf_adapter_of_program(takeover->name)->retires;
    return 0;
}

/* The drain stops the master and waits for its workers. */
static int check_master(const HfTakeover *takeover, HfText *error)
{
    HfProgram program;
    pid_t parent;

    if (!takeover->life.master || hf_process_parent(takeover->holder.pid, &parent) < 0 ||
        hf_process_program(parent, &program) < 0 || program.inode == 0 ||
        program.inode != takeover->program.inode || program.device != takeover->program.device)
        return 0;
    hf_text_addf(error, "pid %d is a worker of %s (pid %d); write --take-over=%d",
                 (int)takeover->holder.pid, takeover->name, (int)parent, (int)parent);
    return -EINVAL;
}

static int check_network(const HfTakeover *takeover, HfText *error)
{
    int r = hf_takeover_same_network(takeover->holder.pid);

    if (r == 0) {
        hf_text_addf(error,
                     "%s (pid %d) is in another network namespace; run holdfast in that one, as "
                     "by nsenter --net --target %d",
                     takeover->name, (int)takeover->holder.pid, (int)takeover->holder.pid);
        return -EXDEV;
    }
    if (r < 0)
        explain_copy(takeover, "its socket", r, error);
    return r < 0 ? r : 0;
}

/* The preparation is repeated, and finds the answer. */
static void on_unit_known(void *supervisor)
{
    hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_UNBLOCKED});
}

static int check_unit(HfTakeover *takeover, HfText *error)
{
    HfSupervisor *supervisor = takeover->supervisor;

    int r = hf_unit_check(takeover->check, supervisor->loop, takeover->holder.pid, on_unit_known,
                          supervisor, error);
    if (r != HF_UNIT_ASKED)
        return r;
    hf_text_addf(error, "systemd is asked what it does when %s (pid %d) leaves", takeover->name,
                 (int)takeover->holder.pid);
    return -EINPROGRESS;
}

static int choose_holder(HfTakeover *takeover, pid_t pid, HfText *error)
{
    if (pid == getpid()) {
        hf_text_add(error, "holdfast cannot take over from itself; leave --take-over out");
        return -EINVAL;
    }
    int r = hf_process_open(pid, &takeover->holder);
    if (r < 0) {
        hf_text_addf(error, "there is no process %d to take over from", (int)pid);
        return r;
    }
    r = identify(takeover, error);
    if (r >= 0)
        r = check_master(takeover, error);
    if (r >= 0)
        r = check_network(takeover, error);
    return r < 0 ? r : check_unit(takeover, error);
}

/* Returns 1 when there is a holder. */
static int find_holder(HfTakeover *takeover, const HfResolvedListener *resolved, HfText *error)
{
    HfOwner owner;

    int r = hf_owner_find(resolved->request.address, resolved->request.address_length, &owner);
    if (r == -ENOENT)
        return 0;
    if (r == -EACCES)
        hf_text_addf(error,
                     "the process that listens at %s cannot be seen from here; run holdfast as "
                     "root and in that process's pid namespace",
                     resolved->label);
    else if (r < 0)
        hf_text_addf(error, "the process that listens at %s cannot be determined: %s",
                     resolved->label, strerror(-r));
    if (r < 0)
        return r;
    if (hf_process_runs_ours(owner.pid)) { /* a reload there releases it, and it may hold more */
        takeover->supervisor->shares = true;
        return 0;
    }
    memcpy(takeover->name, owner.program, sizeof(takeover->name));
    r = choose_holder(takeover, owner.pid, error);
    return r < 0 ? r : 1;
}

/* Returns 0 even if nobody listens there. */
static int copy_address(HfTakeover *takeover, const HfPlan *plan, const HfListenerSpec *spec,
                        const HfResolvedListener *resolved, HfText *error)
{
    HfListener *held;
    int fd;

    if (takeover->holder.pid == 0) {
        int found = find_holder(takeover, resolved, error);
        if (found <= 0)
            return found;
    }
    int r = hf_takeover_copy(&takeover->holder, resolved->request.address,
                             resolved->request.address_length, &fd);
    if (r == -ENOENT)
        return 0;
    if (r == -ENOTCONN)
        return explain_other(takeover, resolved, error);
    if (r >= 0)
        r = add_copy(takeover, fd, spec, &held);
    if (r < 0) {
        explain_copy(takeover, resolved->label, r, error);
        return r;
    }
    r = check_same(takeover, resolved, held, error);
    return r < 0 ? r : check_blocking(plan, held, error);
}

static int copy_listener(HfTakeover *takeover, const HfPlan *plan, const HfListenerSpec *spec,
                         HfText *error)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    size_t before = takeover->n_held;

    int r = hf_resolved_listener_find(spec, &resolved, error);
    for (int i = 0; r >= 0 && i < resolved.n && takeover->n_held == before; i++) {
        hf_resolved_listener_aim(&resolved, i);
        r = copy_address(takeover, plan, spec, &resolved, error);
    }
    return r;
}

static int copy_all(HfTakeover *takeover, const HfPlan *plan, HfText *error)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < plan->n_wanted; i++)
        r = copy_listener(takeover, plan, &plan->wanted[i].spec, error);
    if (r < 0 || takeover->n_held > 0)
        return r;
    if (takeover->supervisor->shares)
        return -EALREADY;
    hf_text_add(error, "there is nothing to take over: nobody listens at ");
    for (size_t i = 0; i < plan->n_wanted && i < 4; i++) {
        char label[HF_ADDRESS_TEXT_MAX];
        hf_address_format(&plan->wanted[i].spec.address, label);
        hf_text_addf(error, "%s%s", i > 0 ? ", " : "", label);
    }
    hf_text_add(error, "; leave --take-over out");
    return -ENOTCONN;
}

int hf_takeover_new(HfSupervisor *supervisor, const HfPlan *plan, pid_t pid, HfUnitCheck **check,
                    HfTakeover **ret, HfText *error)
{
    supervisor->shares = pid > 0 && pid != getpid() && hf_process_runs_ours(pid);
    if (supervisor->shares)
        return -EALREADY;
    HfTakeover *takeover = calloc(1, sizeof(*takeover));
    if (!takeover)
        return -ENOMEM;
    takeover->supervisor = supervisor;
    takeover->place = ret;
    takeover->check = check;
    takeover->holder = HF_PROCESS_NONE;
    int r = pid > 0 ? choose_holder(takeover, pid, error) : 0;
    if (r >= 0)
        r = copy_all(takeover, plan, error);
    if (r < 0) {
        hf_takeover_free(takeover);
        return r;
    }
    *ret = takeover;
    return 0;
}

HfTakeover *hf_takeover_free(HfTakeover *takeover)
{
    if (!takeover)
        return NULL;
    sd_event_source_disable_unref(takeover->timer);
    hf_process_set_free(takeover->set);
    hf_process_list_clear(&takeover->master);
    hf_held_sockets_clear(&takeover->sockets);
    hf_text_clear(&takeover->told);
    hf_listener_array_clear(&takeover->held, &takeover->n_held);
    hf_process_clear(&takeover->holder);
    free(takeover);
    return NULL;
}

/* ---- bound by one of our generations ---- */

/* Returns 1 when pid belongs to that generation. */
static int open_member(const HfGeneration *generation, pid_t pid, HfProcess *ret)
{
    if (!generation->main_exited && generation->main.pid == pid)
        return hf_process_open(pid, ret) < 0 ? 0 : 1;
    return hf_members_open(&generation->members, pid, ret);
}

static HfGeneration *find_generation(const HfSupervisor *supervisor,
                                     const HfResolvedListener *resolved, HfProcess *ret)
{
    HfOwner owner;

    if (hf_owner_find(resolved->request.address, resolved->request.address_length, &owner) < 0)
        return NULL;
    for (size_t i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i] &&
            open_member(supervisor->generations[i], owner.pid, ret) > 0)
            return supervisor->generations[i];
    return NULL;
}

/* A wildcard blocks a single address, but is not the same socket. */
static bool own_is_at(const HfListener *listener, const HfResolvedListener *resolved, int i)
{
    HfAddress address;

    return hf_address_is_path(&listener->spec.address) ||
           (hf_address_from_sockaddr(&resolved->addresses[i], resolved->lengths[i], &address) ==
                0 &&
            hf_address_equal(&address, &listener->bound));
}

static int copy_own(const HfProcess *holder, const HfListenerSpec *spec,
                    const HfResolvedListener *resolved, int i, HfListener **ret)
{
    HfListener *listener;
    int fd;

    int r =
        hf_takeover_copy(holder, resolved->request.address, resolved->request.address_length, &fd);
    if (r >= 0)
        r = hf_listener_take(fd, spec, &listener);
    if (r < 0)
        return r;
    if (!own_is_at(listener, resolved, i)) {
        hf_listener_unref(listener);
        return -EADDRINUSE;
    }
    *ret = listener;
    return 0;
}

/* ---- held by another holdfast ---- */

static void close_all(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        hf_fd_close(fds[i]);
}

/* The side that gets connections comes first. */
static int copy_sides(const HfProcess *holder, const HfResolvedListener *resolved,
                      int fds[static HF_SIDES], unsigned places[static HF_SIDES])
{
    bool current;

    int n = hf_takeover_copy_all(holder, resolved->request.address,
                                 resolved->request.address_length, fds, HF_SIDES);
    for (int i = 0; n > 1 && i < n; i++) {
        if (!hf_steer_noted(fds[i], &current, &places[i])) {
            close_all(fds, n); /* they belong to several listeners, none of which is this one */
            return -EADDRINUSE;
        }
        if (current && i > 0) {
            int fd = fds[0];
            unsigned place = places[0];
            fds[0] = fds[i];
            places[0] = places[i];
            fds[i] = fd;
            places[i] = place;
        }
    }
    return n;
}

/* Or we ourselves: a listener that was taken from us before may still be in use here. */
static int is_process(pid_t pid, const void *wanted)
{
    return pid == ((const HfProcess *)wanted)->pid || pid == getpid();
}

/* For a unix path they are bound under hidden names. */
static int copy_hidden(const HfListener *listener, unsigned n, HfProcessMatch match,
                       const void *wanted, int *ret_fd, HfSocketInode *ret_inode)
{
    char hidden[HF_LISTENER_PATH_MAX];
    HfProcess holder = HF_PROCESS_NONE;
    struct sockaddr_storage address;
    HfOwner owner = {0};
    socklen_t length;
    HfAddress name;

    int r = hf_steer_name_hidden(listener->spec.address.name, n, hidden);
    if (r >= 0)
        r = hf_socket_path_inode(hidden, ret_inode);
    if (r >= 0)
        r = hf_address_parse(hidden, &name);
    if (r >= 0)
        r = hf_address_to_sockaddr(&name, &address, &length);
    if (r >= 0)
        r = hf_owner_find(&address, length, &owner);
    if (r < 0)
        return r;
    r = hf_process_open_match(owner.pid, match, wanted, &holder);
    r = r == 0 ? -ENOENT : r < 0 ? r : hf_takeover_copy(&holder, &address, length, ret_fd);
    hf_process_clear(&holder);
    return r;
}

int hf_takeover_add_hidden(HfListener *listener, HfProcessMatch match, const void *wanted)
{
    HfSocketInode inode;
    int r = 0;
    int fd;

    for (unsigned n = 0; r >= 0 && n < HF_SIDES; n++)
        if (copy_hidden(listener, n, match, wanted, &fd, &inode) >= 0)
            r = hf_shared_listener_add_side(listener, fd, n + 1, &inode);
    return r;
}

static int share(const HfProcess *holder, const HfListenerSpec *spec,
                 const HfResolvedListener *resolved, int i, HfListener **ret)
{
    unsigned places[HF_SIDES] = {0};
    int fds[HF_SIDES];
    HfListener *listener;

    int n = copy_sides(holder, resolved, fds, places);
    if (n < 0)
        return n;
    int r = hf_listener_take(fds[0], spec, &listener);
    if (r < 0) {
        close_all(fds + 1, n - 1);
        return r;
    }
    listener->places[0] = places[0];
    int taken = 1;
    for (; r >= 0 && taken < n; taken++)
        r = hf_shared_listener_add_side(listener, fds[taken], places[taken], &(HfSocketInode){0});
    close_all(fds + taken, n - taken);
    if (r >= 0 && hf_address_is_path(&spec->address))
        r = hf_takeover_add_hidden(listener, is_process, holder);
    if (r >= 0)
        hf_shared_listener_make_room(listener);
    if (r >= 0 && !own_is_at(listener, resolved, i))
        r = -EADDRINUSE;
    if (r < 0) {
        hf_listener_unref(listener);
        return r;
    }
    hf_listener_claim(listener);
    *ret = listener;
    return 0;
}

int hf_shared_listener_copy(const HfListenerSpec *spec, HfListener **ret)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    HF_CLEANUP_TEXT HfText error = {0};
    HfProcess holder = HF_PROCESS_NONE;
    HfOwner owner = {0};
    int i = -1;

    int r = hf_resolved_listener_find(spec, &resolved, &error);
    if (r < 0)
        return r;
    while (++i < resolved.n) {
        hf_resolved_listener_aim(&resolved, i);
        if (hf_owner_find(resolved.request.address, resolved.request.address_length, &owner) == 0)
            break;
    }
    if (i == resolved.n || owner.pid == getpid() || !hf_process_runs_ours(owner.pid))
        return -ENOENT;
    r = hf_process_open(owner.pid, &holder);
    if (r >= 0)
        r = share(&holder, spec, &resolved, i, ret);
    hf_process_clear(&holder);
    const HfLogFields fields = {.listener = resolved.label, .error = r};
    if (r < 0)
        hf_log(LOG_WARNING, &fields, "%s cannot be copied out of another holdfast (pid %d)",
               resolved.label, (int)owner.pid);
    else
        hf_log(LOG_NOTICE, &fields,
               "%s is taken over from another holdfast (pid %d), which goes on with it until its "
               "settings leave it out",
               resolved.label, (int)owner.pid);
    return r;
}

void hf_shared_listener_settle(const HfSupervisor *supervisor)
{
    const HfPlan *plan = supervisor->current;
    bool serves = plan && hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE) >= 0;

    for (size_t i = 0; serves && i < plan->n_listeners; i++)
        if (plan->listeners[i]->claimed)
            plan->listeners[i]->taken = false;
}

/* ---- bound by one of our generations, once more ---- */

int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    HF_CLEANUP_TEXT HfText error = {0};
    HfGeneration *generation = NULL;
    HfProcess holder = HF_PROCESS_NONE;
    int i = -1;

    int r = hf_resolved_listener_find(spec, &resolved, &error);
    if (r < 0)
        return r;
    while (!generation && ++i < resolved.n) {
        hf_resolved_listener_aim(&resolved, i);
        generation = find_generation(supervisor, &resolved, &holder);
    }
    if (!generation)
        return -ENOENT;
    r = copy_own(&holder, spec, &resolved, i, ret);
    hf_process_clear(&holder);
    if (r < 0)
        return r;
    (*ret)->own = generation->number;
    const HfLogFields fields = {.generation = generation->number, .listener = resolved.label};
    hf_log(LOG_NOTICE, &fields, "%s was bound by generation %llu itself; holdfast holds it now",
           resolved.label, (unsigned long long)generation->number);
    return 0;
}

void hf_own_listener_commit(const HfSupervisor *supervisor, const HfPlan *plan)
{
    for (size_t i = 0; i < plan->n_listeners; i++) {
        HfListener *listener = plan->listeners[i];
        if (listener->own == 0)
            continue;
        for (size_t slot = 0; slot < HF_MACHINE_SLOTS; slot++) {
            HfGeneration *generation = supervisor->generations[slot];
            if (generation && generation->number == listener->own)
                generation->removes_path |= hf_address_is_path(&listener->spec.address);
        }
        listener->own = 0;
        listener->taken = false;
    }
}
