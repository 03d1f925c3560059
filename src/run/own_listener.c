#include "run/own_listener.h"

#include <errno.h>
#include <fcntl.h>

#include "base/log.h"
#include "kernel/members.h"
#include "kernel/owner.h"
#include "kernel/socket_copy.h"
#include "run/members.h"
#include "run/resolved_listener.h"

/* Returns 1 when pid is one of that generation's. */
static int open_member(const HfGeneration *generation, pid_t pid, HfProcess *ret)
{
    if (!generation->main_exited && generation->main.pid == pid)
        return hf_process_open(pid, ret) < 0 ? 0 : 1;
    return hf_members_open(generation, pid, ret);
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
