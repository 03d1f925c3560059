#include "run/activated.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"
#include "kernel/owner.h"
#include "kernel/socket_copy.h"
#include "run/members.h"
#include "run/resolved_listener.h"

int hf_activated_take(HfListener ***ret, size_t *ret_n, HfNotes *notes, HfText *error)
{
    HF_CLEANUP_STRV char **names = NULL;
    size_t taken = 0;

    int n = sd_listen_fds_with_names(1, &names);
    if (n < 0)
        hf_text_addf(error, "LISTEN_FDS is not understood: %s", strerror(-n));
    if (n <= 0)
        return n;
    HfListener **list = calloc((size_t)n, sizeof(HfListener *));
    if (!list)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        const int fd = SD_LISTEN_FDS_START + i;
        int r;
        if (strncmp(names[i], HF_NOTES_FD, strlen(HF_NOTES_FD)) == 0) {
            r = hf_notes_add(notes, names[i], NULL, fd);
            if (r < 0)
                return r;
            continue;
        }
        const char *name = strcmp(names[i], "unknown") == 0 ? NULL : names[i];
        r = hf_listener_receive(fd, name, &list[taken]);
        if (r < 0) {
            hf_text_addf(error,
                         "socket %d (%s) from systemd cannot be held, it is not a listening stream "
                         "socket: %s",
                         i + 1, names[i], strerror(-r));
            hf_listener_array_clear(&list, &taken);
            return r;
        }
        taken++;
    }
    *ret = list;
    *ret_n = taken;
    return 0;
}

int hf_activated_want(HfListener *const *received, size_t n, HfPlan *plan)
{
    int r = 0;

    if (plan->n_wanted > 0 || plan->adapter->finds_listeners)
        return 0;
    for (size_t i = 0; i < n && r >= 0; i++)
        r = hf_plan_want(plan, &received[i]->spec, NULL);
    return r;
}

static bool uses(const HfPlan *plan, const HfListener *held)
{
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (plan->listeners[i] == held)
            return true;
    return false;
}

int hf_activated_check(HfListener *const *received, size_t n, const HfPlan *plan, HfText *error)
{
    for (size_t i = 0; i < n; i++) {
        if (uses(plan, received[i]))
            continue;
        hf_text_addf(
            error,
            "the socket %s (%s) from systemd matches nothing that the service listens at; correct "
            "ListenStream= or FileDescriptorName= in the .socket unit",
            received[i]->label, received[i]->spec.name);
        return -EADDRNOTAVAIL;
    }
    return 0;
}

/* ---- bound by a generation of ours ---- */

/* Returns 1 when pid is one of that generation's. */
static int open_member(const HfGeneration *generation, pid_t pid, HfProcess *ret)
{
    if (!generation->main_exited && generation->main.pid == pid)
        return hf_process_open(pid, ret) < 0 ? 0 : 1;
    return hf_members_open(&generation->members, pid, ret);
}

static HfGeneration *find_holder(const HfSupervisor *supervisor, const HfResolvedListener *target,
                                 HfProcess *ret)
{
    HfOwner owner;

    if (hf_owner_find(target->request.address, target->request.address_length, &owner) < 0)
        return NULL;
    for (size_t i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i] &&
            open_member(supervisor->generations[i], owner.pid, ret) > 0)
            return supervisor->generations[i];
    return NULL;
}

/* A wildcard stands in the way of one address, but is not that. */
static bool is_at(const HfListener *listener, const HfResolvedListener *target, int i)
{
    HfAddress address;

    return hf_address_is_path(&listener->spec.address) ||
           (hf_address_from_sockaddr(&target->addresses[i], target->lengths[i], &address) == 0 &&
            hf_address_equal(&address, &listener->bound));
}

static int copy(const HfProcess *holder, const HfListenerSpec *spec,
                const HfResolvedListener *target, int i, HfListener **ret)
{
    HfListener *listener;
    int fd;

    int r = hf_takeover_copy(holder, target->request.address, target->request.address_length, &fd);
    if (r >= 0)
        r = hf_listener_take(fd, spec, &listener);
    if (r < 0)
        return r;
    if (!is_at(listener, target, i)) {
        hf_listener_unref(listener);
        return -EADDRINUSE;
    }
    *ret = listener;
    return 0;
}

int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret)
{
    HF_CLEANUP_TARGET HfResolvedListener target = {0};
    HF_CLEANUP_TEXT HfText error = {0};
    HfGeneration *generation = NULL;
    HfProcess holder = HF_PROCESS_NONE;
    int i = -1;

    int r = hf_resolved_listener_find(spec, &target, &error);
    if (r < 0)
        return r;
    while (!generation && ++i < target.n) {
        hf_resolved_listener_aim(&target, i);
        generation = find_holder(supervisor, &target, &holder);
    }
    if (!generation)
        return -ENOENT;
    r = copy(&holder, spec, &target, i, ret);
    hf_process_clear(&holder);
    if (r < 0)
        return r;
    (*ret)->own = generation->number;
    const HfLogFields fields = {.generation = generation->number, .listener = target.label};
    hf_log(LOG_NOTICE, &fields, "%s was bound by generation %llu itself; holdfast holds it now",
           target.label, (unsigned long long)generation->number);
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
