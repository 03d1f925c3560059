#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "parts/survive/serialize.h"
#include "run/inputs.h"

typedef struct Plans {
    const HfPlan *list[HF_SNAPSHOT_PLANS];
    size_t n;
} Plans;

static unsigned index_of(Plans *plans, const HfPlan *plan)
{
    for (size_t i = 0; i < plans->n; i++)
        if (plans->list[i] == plan)
            return (unsigned)i;
    plans->list[plans->n] = plan;
    return (unsigned)plans->n++;
}

/* Copies of what may be NULL. */
typedef struct Text {
    char **to;
    const char *from;
} Text;

static int copy_texts(const Text *texts, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = hf_string_set(texts[i].to, texts[i].from);
    return r;
}
#define COPY_TEXTS(...)                                                                            \
    copy_texts((const Text[]){__VA_ARGS__}, sizeof((const Text[]){__VA_ARGS__}) / sizeof(Text))

static int add_listener(HfSnapshot *snapshot, HfListener *held)
{
    HfSnapshotListener *listener = hf_snapshot_add_listener(snapshot);

    if (!listener)
        return -ENOMEM;
    held->index = (unsigned)snapshot->n_listeners - 1;
    listener->fd = held->fd;
    listener->socket = hf_listener_socket(held);
    listener->received = held->received;
    listener->stored = held->stored;
    listener->taken = held->taken;
    listener->device = held->inode.device;
    listener->inode = held->inode.inode;
    return hf_listener_spec_copy(&held->spec, &listener->spec);
}

/* Each once, however many plans share it. */
static int add_listeners(HfSnapshot *snapshot, HfListener *const *held, size_t n)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        if (held[i]->index == UINT32_MAX)
            r = add_listener(snapshot, held[i]);
    return r;
}

static int capture_listeners(const HfSupervisor *supervisor, const Plans *plans,
                             HfSnapshot *snapshot)
{
    int r = 0;

    for (size_t i = 0; i < plans->n; i++)
        for (size_t j = 0; j < plans->list[i]->n_listeners; j++)
            plans->list[i]->listeners[j]->index = UINT32_MAX;
    for (size_t i = 0; i < supervisor->n_received; i++)
        supervisor->received[i]->index = UINT32_MAX;
    for (size_t i = 0; r >= 0 && i < plans->n; i++)
        r = add_listeners(snapshot, plans->list[i]->listeners, plans->list[i]->n_listeners);
    return r < 0 ? r : add_listeners(snapshot, supervisor->received, supervisor->n_received);
}

static int copy_numbers(HfSnapshotNumbers *to, const uint64_t *from, size_t n)
{
    if (n == 0)
        return 0;
    to->list = calloc(n, sizeof(*to->list));
    if (!to->list)
        return -ENOMEM;
    memcpy(to->list, from, n * sizeof(*from));
    to->n = to->capacity = n;
    return 0;
}

static int capture_credentials(const HfCredentials *from, HfSnapshotPlan *to)
{
    HF_CLEANUP_FREE uint64_t *groups = calloc(from->n_groups + 1, sizeof(*groups));

    if (!groups)
        return -ENOMEM;
    for (size_t i = 0; i < from->n_groups; i++)
        groups[i] = from->groups[i];
    to->has_user = from->has_user;
    to->has_group = from->has_group;
    to->uid = from->uid;
    to->gid = from->gid;
    to->no_new_privileges = from->no_new_privileges;
    to->capabilities = from->capabilities;
    int r = copy_numbers(&to->groups, groups, from->n_groups);
    return r < 0 ? r : hf_strv_copy(from->environment, &to->identity);
}

static int capture_wanted(const HfPlan *plan, unsigned index, HfSnapshot *snapshot)
{
    for (size_t i = 0; i < plan->n_listeners; i++) {
        const HfPlanned *planned = &plan->wanted[i];
        HfSnapshotWanted *wanted = hf_snapshot_add_wanted(snapshot);
        if (!wanted)
            return -ENOMEM;
        wanted->plan = index;
        wanted->listener = plan->listeners[i]->index;
        wanted->address = planned->spec.address;
        wanted->pool = (unsigned)planned->pool;
        wanted->status = planned->status;
        int r = COPY_TEXTS({&wanted->name, planned->spec.name}, {&wanted->alias, planned->alias});
        if (r < 0)
            return r;
    }
    return 0;
}

static int capture_probed(const HfPlan *plan, HfSnapshotPlan *to)
{
    size_t n = plan->probed ? hf_strv_length(plan->pools) : 0;
    HF_CLEANUP_FREE uint64_t *flags = calloc(n + 1, sizeof(*flags));
    int r = flags ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const HfPlanPool *pool = &plan->probed[i];
        flags[i] = (uint64_t)pool->pings | (uint64_t)pool->counts << 1 |
                   (uint64_t)pool->listens << 2 | (uint64_t)pool->writes_path << 3;
        r = hf_strv_append(&to->status_paths, pool->status_path);
    }
    return r < 0 ? r : copy_numbers(&to->probes, flags, n);
}

static int capture_plan(const HfPlan *plan, unsigned index, HfSnapshot *snapshot)
{
    HfSnapshotPlan *to = hf_snapshot_add_plan(snapshot);

    if (!to)
        return -ENOMEM;
    to->readiness = plan->readiness;
    to->kill_mode = plan->kill_mode;
    to->ready_delay = plan->ready_delay;
    to->stop_signal = plan->stop_signal;
    to->reopen_signal = plan->reopen_signal;
    to->drain_timeout = plan->drain_timeout;
    to->systemd_interval = plan->systemd_interval;
    to->peak_workers = plan->peak_workers;
    int r = COPY_TEXTS({&to->adapter, plan->adapter->name}, {&to->handoff, plan->handoff->name},
                       {&to->program, plan->program}, {&to->directory, plan->directory},
                       {&to->ready_text, plan->ready_text}, {&to->include, plan->include},
                       {&to->pid_file, plan->pid_file});
    if (r >= 0)
        r = hf_strv_copy(plan->arguments, &to->arguments);
    if (r >= 0)
        r = hf_strv_copy(plan->environment, &to->environment);
    if (r >= 0)
        r = hf_strv_copy(plan->pools, &to->pools);
    if (r >= 0)
        r = hf_strv_copy(plan->memory_limits, &to->memory_limits);
    if (r >= 0)
        r = copy_numbers(&to->workers, plan->workers,
                         plan->pools ? hf_strv_length(plan->pools) : 0);
    if (r >= 0)
        r = capture_probed(plan, to);
    if (r >= 0)
        r = capture_credentials(&plan->credentials, to);
    return r < 0 ? r : capture_wanted(plan, index, snapshot);
}

static int capture_generation(const HfGeneration *generation, Plans *plans, HfSnapshot *snapshot)
{
    HfSnapshotGeneration *to = hf_snapshot_add_generation(snapshot);

    if (!to)
        return -ENOMEM;
    to->number = generation->number;
    to->slot = generation->slot;
    to->plan = index_of(plans, generation->plan);
    to->cause = generation->cause;
    to->pid = (unsigned)generation->main.pid;
    to->started = generation->started;
    to->pidfd = generation->main_exited ? -1 : generation->main.pidfd;
    to->stored = generation->stored;
    to->session = (unsigned)generation->session;
    to->main_exited = generation->main_exited;
    to->exit_code = generation->status.si_code;
    to->exit_status = generation->status.si_status;
    to->owed = generation->owed;
    to->spawned = generation->spawned;
    to->program_device = generation->program.device;
    to->program_inode = generation->program.inode;
    return COPY_TEXTS({&to->overlay, generation->files.overlay},
                      {&to->pid_file, generation->files.pid_file},
                      {&to->statuses, generation->statuses}, {&to->status, generation->status_text},
                      {&to->program_comm, generation->program.comm});
}

int hf_serialize_capture(HfSupervisor *supervisor, HfSnapshot *ret)
{
    HF_CLEANUP_SNAPSHOT HfSnapshot snapshot;
    Plans plans = {.n = 0};

    hf_snapshot_init(&snapshot);
    snapshot.machine = supervisor->machine;
    HfNotes notes = {0};
    HF_EACH_PART (supervisor, i, captured)
        (void)supervisor->parts[i]->captured(supervisor->states[i], &notes);
    snapshot.announced = hf_notes_text(&notes, "announced") != NULL;
    snapshot.control_fd = hf_notes_take(&notes, "control");
    const char *last_id = hf_notes_text(&notes, "last-id");
    if (last_id)
        (void)hf_parse_uint(last_id, UINT64_MAX, &snapshot.last_id);
    hf_notes_clear(&notes, false);
    snapshot.lock_fd = supervisor->runtime.lock;
    snapshot.notify_fd = hf_inputs_fd(supervisor->watch);
    if (supervisor->current)
        snapshot.current = (int)index_of(&plans, supervisor->current);
    int r = COPY_TEXTS({&snapshot.version, HF_VERSION}, {&snapshot.pid_file, supervisor->pid_file});
    for (size_t i = 0; r >= 0 && i < HF_MACHINE_SLOTS; i++)
        if (supervisor->generations[i])
            r = capture_generation(supervisor->generations[i], &plans, &snapshot);
    if (r >= 0)
        r = capture_listeners(supervisor, &plans, &snapshot);
    for (size_t i = 0; r >= 0 && i < plans.n; i++)
        r = capture_plan(plans.list[i], (unsigned)i, &snapshot);
    if (r < 0)
        return r;
    *ret = snapshot;
    hf_snapshot_init(&snapshot);
    return 0;
}
