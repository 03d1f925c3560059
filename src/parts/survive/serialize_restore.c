#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/memory.h"
#include "parts/survive/serialize.h"

/* ---- what a snapshot names ---- */

int *hf_serialize_fd(HfSnapshot *snapshot, size_t n)
{
    int *const own[] = {&snapshot->lock_fd, &snapshot->control_fd, &snapshot->notify_fd,
                        &snapshot->stored_fds[0], &snapshot->stored_fds[1]};
    const size_t n_own = sizeof(own) / sizeof(*own);

    if (n < n_own)
        return own[n];
    n -= n_own;
    if (n < snapshot->n_listeners)
        return &snapshot->listeners[n].fd;
    n -= snapshot->n_listeners;
    return n < snapshot->n_generations ? &snapshot->generations[n].pidfd : NULL;
}

static bool is_listener(const HfSnapshotListener *listener)
{
    struct sockaddr_storage name;
    unsigned length;
    HfAddress bound;

    return hf_socket_verify(listener->fd) == 0 &&
           hf_listener_name(listener->fd, &name, &length) == 0 &&
           hf_address_from_sockaddr(&name, length, &bound) == 0 &&
           (listener->spec.address.kind == HF_ADDRESS_HOST ||
            hf_address_equal(&listener->spec.address, &bound));
}

/* Nobody else has got its number meanwhile. */
static bool is_process(const HfSnapshotGeneration *generation)
{
    uint64_t started;
    pid_t pid;

    int r = hf_process_of_pidfd(generation->pidfd, &pid);
    if (r == -ESRCH) /* it has ended, and been reaped */
        return true;
    if (r < 0 || pid != (pid_t)generation->pid)
        return false;
    return generation->started == 0 || hf_process_started(pid, &started) < 0 ||
           started == generation->started;
}

int hf_serialize_check(const HfSnapshot *snapshot, HfText *error)
{
    char address[HF_ADDRESS_TEXT_MAX];

    for (size_t i = 0; i < snapshot->n_listeners; i++) {
        if (is_listener(&snapshot->listeners[i]))
            continue;
        hf_address_format(&snapshot->listeners[i].spec.address, address);
        hf_text_addf(error, "descriptor %d is not the listener %s", snapshot->listeners[i].fd,
                     address);
        return -EBADF;
    }
    for (size_t i = 0; i < snapshot->n_generations; i++) {
        const HfSnapshotGeneration *generation = &snapshot->generations[i];
        if (generation->main_exited || is_process(generation))
            continue;
        hf_text_addf(error, "descriptor %d is not the process %u", generation->pidfd,
                     generation->pid);
        return -EBADF;
    }
    return 0;
}

/* ---- taking over ---- */

typedef struct Parts {
    HfListener **held;
    size_t n_held;
    HfPlan *plans[HF_SNAPSHOT_PLANS];
} Parts;

static void parts_clear(Parts *parts)
{
    for (size_t i = 0; i < HF_SNAPSHOT_PLANS; i++)
        hf_plan_unref(parts->plans[i]);
    hf_listener_array_clear(&parts->held, &parts->n_held);
}

static int restore_listeners(HfSnapshot *snapshot, Parts *parts)
{
    parts->held = calloc(snapshot->n_listeners + 1, sizeof(HfListener *));
    if (!parts->held)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->n_listeners; i++) {
        HfSnapshotListener *listener = &snapshot->listeners[i];
        const HfSocketInode inode = {listener->device, listener->inode};
        int r = hf_listener_restore(hf_fd_steal(&listener->fd), &listener->spec, &inode,
                                    listener->received, &parts->held[i]);
        if (r < 0)
            return r;
        parts->held[i]->taken = listener->taken;
        parts->held[i]->stored = listener->stored;
        parts->n_held++;
    }
    return 0;
}

static int restore_credentials(const HfSnapshotPlan *from, HfCredentials *to)
{
    to->has_user = from->has_user;
    to->has_group = from->has_group;
    to->uid = from->uid;
    to->gid = from->gid;
    to->no_new_privileges = from->no_new_privileges;
    to->capabilities = from->capabilities;
    to->groups = calloc(from->groups.n + 1, sizeof(*to->groups));
    if (!to->groups)
        return -ENOMEM;
    for (size_t i = 0; i < from->groups.n; i++)
        to->groups[i] = (gid_t)from->groups.list[i];
    to->n_groups = from->groups.n;
    return hf_strv_copy(from->identity, &to->environment);
}

static int restore_probed(const HfSnapshotPlan *from, HfPlan *plan)
{
    int r = 0;

    if (from->probes.n == 0)
        return 0;
    plan->probed = calloc(from->probes.n, sizeof(*plan->probed));
    if (!plan->probed)
        return -ENOMEM;
    for (size_t i = 0; r >= 0 && i < from->probes.n; i++) {
        uint64_t flags = from->probes.list[i];
        plan->probed[i] = (HfPlanPool){
            .pings = flags & 1,
            .counts = flags & 2,
            .listens = flags & 4,
            .writes_path = flags & 8,
        };
        r = hf_string_set(&plan->probed[i].status_path, from->status_paths[i]);
    }
    return r;
}

/* The vectors and strings are taken out of the snapshot. */
static int restore_plan(HfSnapshotPlan *from, HfPlan **ret)
{
    HfPlan *plan;

    int r = hf_plan_new(&plan);
    if (r < 0)
        return r;
    *ret = plan;
    /* without names, so that a field that was added does not compile */
    *plan = (HfPlan){
        plan->references,
        hf_adapter_find(from->adapter ? from->adapter : ""),
        hf_handoff_find(from->handoff ? from->handoff : ""),
        HF_STEAL(from->program),
        HF_STEAL(from->arguments),
        HF_CREDENTIALS_NONE,
        HF_STEAL(from->environment),
        HF_STEAL(from->directory),
        from->readiness,
        from->ready_delay,
        HF_STEAL(from->ready_text),
        from->stop_signal,
        from->kill_mode,
        from->reopen_signal,
        from->drain_timeout,
        NULL, /* wanted and listeners follow, and what comes of them */
        0,
        HF_STEAL(from->include),
        HF_STEAL(from->pid_file),
        from->systemd_interval,
        HF_STEAL(from->pools),
        from->peak_workers,
        HF_STEAL(from->memory_limits),
        HF_STEAL(from->workers.list),
        NULL,
        NULL,
        0,
        {0},
    };
    if (!plan->adapter || !plan->handoff)
        return -EPROTONOSUPPORT;
    r = restore_probed(from, plan);
    return r < 0 ? r : restore_credentials(from, &plan->credentials);
}

static int restore_wanted(HfSnapshotWanted *from, const Parts *parts)
{
    HfPlan *plan = parts->plans[from->plan];
    HfListener *held = parts->held[from->listener];
    HfListenerSpec spec = held->spec; /* borrowed strings */
    HfPlanned *planned;

    spec.address = from->address;
    spec.name = from->name;
    int r = hf_plan_want(plan, &spec, &planned);
    if (r < 0)
        return r;
    planned->pool = from->pool;
    planned->status = from->status;
    planned->alias = HF_STEAL(from->alias);
    HfListener **grown = reallocarray(plan->listeners, plan->n_listeners + 1, sizeof(HfListener *));
    if (!grown)
        return -ENOMEM;
    plan->listeners = grown;
    plan->listeners[plan->n_listeners++] = hf_listener_ref(held);
    return 0;
}

static int restore_plans(HfSnapshot *snapshot, Parts *parts, HfText *error)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < snapshot->n_plans; i++)
        r = restore_plan(&snapshot->plans[i], &parts->plans[i]);
    for (size_t i = 0; r >= 0 && i < snapshot->n_wanted; i++)
        r = restore_wanted(&snapshot->wanted[i], parts);
    for (size_t i = 0; r >= 0 && i < snapshot->n_plans; i++)
        r = hf_plan_place(parts->plans[i], error);
    return r;
}

static void make_generation(HfSnapshotGeneration *from, HfPlan *plan, HfGeneration *ret)
{
    *ret = (HfGeneration){
        .number = from->number,
        .slot = from->slot,
        .cause = from->cause,
        .plan = plan,
        .main = {(pid_t)from->pid, hf_fd_steal(&from->pidfd)},
        .program = {.device = from->program_device, .inode = from->program_inode},
        .status = {.si_code = from->exit_code},
        .stored = from->stored,
        .session = (pid_t)(from->session ? from->session : from->pid),
        .main_exited = from->main_exited,
        .owed = from->owed,
        .spawned = from->spawned,
        .started = from->started,
        .files = {.overlay = from->overlay,
                  .pid_file = from->pid_file,
                  .overlay_fd = -1,
                  .pid_fd = -1},
        .statuses = from->statuses,
        .status_text = from->status,
    };
    ret->status.si_status = from->exit_status;
    if (from->program_comm)
        strncpy(ret->program.comm, from->program_comm, sizeof(ret->program.comm) - 1);
}

static int restore_generations(HfSupervisor *supervisor, HfSnapshot *snapshot, const Parts *parts,
                               const HfGenerationCallbacks *callbacks)
{
    int r = 0;

    for (size_t i = 0; i < snapshot->n_generations; i++) {
        HfSnapshotGeneration *from = &snapshot->generations[i];
        bool starting = supervisor->machine.generations[from->slot].state == HF_GENERATION_STARTING;
        HfGeneration generation;
        make_generation(from, parts->plans[from->plan], &generation);
        int failed = hf_generation_restore(supervisor->loop, supervisor->reaper,
                                           &supervisor->runtime, &generation, starting, callbacks,
                                           &supervisor->generations[from->slot]);
        r = r < 0 ? r : failed;
    }
    return r;
}

static int restore_received(HfSupervisor *supervisor, const Parts *parts)
{
    for (size_t i = 0; i < parts->n_held; i++) {
        if (!parts->held[i]->received)
            continue;
        HfListener **grown =
            reallocarray(supervisor->received, supervisor->n_received + 1, sizeof(HfListener *));
        if (!grown)
            return -ENOMEM;
        supervisor->received = grown;
        supervisor->received[supervisor->n_received++] = hf_listener_ref(parts->held[i]);
    }
    return 0;
}

static int own_descriptors(HfSnapshot *snapshot)
{
    int *fd;

    for (size_t i = 0; (fd = hf_serialize_fd(snapshot, i)); i++)
        if (*fd >= 0 && hf_fd_set_cloexec(*fd, true) < 0)
            return -EBADF;
    return 0;
}

/* A slot whose process is not among those that were handed over has nobody in it. */
static void report_missing(HfSupervisor *supervisor)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i] && supervisor->generations[i]->main_exited &&
            !supervisor->machine.generations[i].main_exited)
            hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_MAIN_EXITED, .slot = i});
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (supervisor->machine.generations[i].state != HF_GENERATION_EMPTY &&
            !supervisor->generations[i])
            hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_GONE, .slot = i});
}

int hf_serialize_restore(HfSupervisor *supervisor, HfSnapshot *snapshot,
                         const HfGenerationCallbacks *callbacks, HfText *error)
{
    __attribute__((cleanup(parts_clear))) Parts parts = {0};
    const HfMachineLimits limits = supervisor->machine.limits;

    int r = own_descriptors(snapshot);
    if (r >= 0)
        r = restore_listeners(snapshot, &parts);
    if (r >= 0)
        r = restore_plans(snapshot, &parts, error);
    if (r >= 0)
        r = restore_received(supervisor, &parts);
    if (r >= 0)
        r = hf_string_set(&supervisor->pid_file, snapshot->pid_file);
    if (r < 0)
        return r;
    supervisor->machine = snapshot->machine;
    supervisor->machine.limits = limits;
    supervisor->raised = snapshot->machine.raised;
    if (snapshot->current >= 0)
        supervisor->current = hf_plan_ref(parts.plans[snapshot->current]);
    r = restore_generations(supervisor, snapshot, &parts, callbacks);
    report_missing(supervisor);
    return r;
}
