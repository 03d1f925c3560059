#include "parts/survive/snapshot_fields.h"

/* ---- the names of enums, by int ---- */

#define NAMED(prefix, Type)                                                                        \
    static const char *name_of_##prefix(int value)                                                 \
    {                                                                                              \
        return prefix##_name((Type)value);                                                         \
    }
NAMED(hf_generation_state, HfGenerationState)
NAMED(hf_rung, HfRung)
NAMED(hf_phase, HfPhase)
NAMED(hf_cause, HfCause)
NAMED(hf_request_kind, HfRequestKind)
NAMED(hf_upgrade, HfUpgrade)
NAMED(hf_verdict, HfVerdict)
NAMED(hf_readiness, HfReadiness)
NAMED(hf_kill_mode, HfKillMode)

#define PLAIN(Object, text, Type, member)                                                          \
    {                                                                                              \
        .key = (text), .type = HF_FIELD_##Type, .offset = offsetof(Object, member)                 \
    }
#define NAME(Object, text, prefix, member)                                                         \
    {                                                                                              \
        .key = (text), .type = HF_FIELD_ENUM, .offset = offsetof(Object, member),                  \
        .name = name_of_##prefix, .value = prefix##_value                                          \
    }

/* ---- the objects ---- */

#define M(text, Type, member) PLAIN(HfSnapshot, text, Type, member)
static const HfField snapshot_fields[] = {
    M("sequence", UINT64, sequence),
    M("version", TEXT, version),
    M("last-id", UINT64, last_id),
    M("announced", BOOL, announced),
    M("pid-file", TEXT, pid_file),
    M("lock-fd", INT, lock_fd),
    M("control-fd", INT, control_fd),
    M("notify-fd", INT, notify_fd),
    M("stored-fd-0", INT, stored_fds[0]),
    M("stored-fd-1", INT, stored_fds[1]),
    M("current", INT, current),
    NAME(HfSnapshot, "phase", hf_phase, machine.phase),
    NAME(HfSnapshot, "cause", hf_cause, machine.cause),
    NAME(HfSnapshot, "pending", hf_request_kind, machine.pending),
    NAME(HfSnapshot, "hurry", hf_rung, machine.hurry),
    NAME(HfSnapshot, "upgrade", hf_upgrade, machine.upgrade),
    NAME(HfSnapshot, "probed", hf_verdict, machine.probed),
    M("planned", BOOL, machine.planned),
    M("prepared", BOOL, machine.prepared),
    M("stable", BOOL, machine.stable),
    M("raised", BOOL, machine.raised),
    M("overdue", BOOL, machine.overdue),
    M("outage", BOOL, machine.outage),
    M("misses", UNSIGNED, machine.misses),
    M("doubts", UNSIGNED, machine.doubts),
    M("failures", UNSIGNED, machine.failures),
    M("last-number", UINT64, machine.last_number),
};
#undef M

#define M(text, Type, member) PLAIN(HfMachineGeneration, text, Type, member)
static const HfField slot_fields[] = {
    NAME(HfMachineGeneration, "state", hf_generation_state, state),
    NAME(HfMachineGeneration, "rung", hf_rung, rung),
    M("main-exited", BOOL, main_exited),
    M("reopen", BOOL, reopen),
    M("stopped", BOOL, stopped),
    M("extensions", UNSIGNED, extensions),
    M("number", UINT64, number),
};
#undef M

static const HfField request_fields[] = {
    PLAIN(HfMachineRequest, "id", UINT64, id),
    NAME(HfMachineRequest, "kind", hf_request_kind, kind),
    PLAIN(HfMachineRequest, "next", BOOL, next),
};

#define M(text, Type, member) PLAIN(HfSnapshotListener, text, Type, member)
static const HfField listener_fields[] = {
    M("address", ADDRESS, spec.address),
    M("name", TEXT, spec.name),
    M("backlog", INT, spec.backlog),
    M("mode", UNSIGNED, spec.mode),
    M("owner", TEXT, spec.owner),
    M("group", TEXT, spec.group),
    M("acl-users", TEXT, spec.acl_users),
    M("acl-groups", TEXT, spec.acl_groups),
    M("fd", INT, fd),
    M("socket", UINT64, socket),
    M("received", BOOL, received),
    M("stored", BOOL, stored),
    M("taken", BOOL, taken),
    M("device", UINT64, device),
    M("inode", UINT64, inode),
};
#undef M

#define M(text, Type, member) PLAIN(HfSnapshotPlan, text, Type, member)
static const HfField plan_fields[] = {
    M("adapter", TEXT, adapter),
    M("handoff", TEXT, handoff),
    NAME(HfSnapshotPlan, "readiness", hf_readiness, readiness),
    NAME(HfSnapshotPlan, "kill-mode", hf_kill_mode, kill_mode),
    M("program", TEXT, program),
    M("argument", TEXTS, arguments),
    M("environment", TEXTS, environment),
    M("directory", TEXT, directory),
    M("ready-delay", UINT64, ready_delay),
    M("ready-text", TEXT, ready_text),
    M("stop-signal", INT, stop_signal),
    M("reopen-signal", INT, reopen_signal),
    M("drain-timeout", UINT64, drain_timeout),
    M("has-user", BOOL, has_user),
    M("has-group", BOOL, has_group),
    M("uid", UNSIGNED, uid),
    M("gid", UNSIGNED, gid),
    M("supplementary", NUMBERS, groups),
    M("identity", TEXTS, identity),
    M("no-new-privileges", BOOL, no_new_privileges),
    M("capabilities", UINT64, capabilities),
    M("include", TEXT, include),
    M("pid-file", TEXT, pid_file),
    M("systemd-interval", BOOL, systemd_interval),
    M("pool", TEXTS, pools),
    M("memory-limit", TEXTS, memory_limits),
    M("workers", NUMBERS, workers),
    M("peak-workers", UINT64, peak_workers),
    M("status-path", TEXTS, status_paths),
    M("probe", NUMBERS, probes),
};
#undef M

#define M(text, Type, member) PLAIN(HfSnapshotWanted, text, Type, member)
static const HfField wanted_fields[] = {
    M("plan", UNSIGNED, plan), M("listener", UNSIGNED, listener), M("address", ADDRESS, address),
    M("name", TEXT, name),     M("pool", UNSIGNED, pool),         M("status", BOOL, status),
    M("alias", TEXT, alias),
};
#undef M

#define M(text, Type, member) PLAIN(HfSnapshotGeneration, text, Type, member)
static const HfField generation_fields[] = {
    M("number", UINT64, number),
    M("slot", UNSIGNED, slot),
    M("plan", UNSIGNED, plan),
    NAME(HfSnapshotGeneration, "cause", hf_cause, cause),
    M("pid", UNSIGNED, pid),
    M("started", UINT64, started),
    M("pidfd", INT, pidfd),
    M("session", UNSIGNED, session),
    M("stored", BOOL, stored),
    M("main-exited", BOOL, main_exited),
    M("exit-code", INT, exit_code),
    M("exit-status", INT, exit_status),
    M("owed-signal", INT, owed),
    M("spawned", UINT64, spawned),
    M("overlay", TEXT, overlay),
    M("pid-file", TEXT, pid_file),
    M("statuses", TEXT, statuses),
    M("status", TEXT, status),
    M("program-device", UINT64, program_device),
    M("program-inode", UINT64, program_inode),
    M("program-comm", TEXT, program_comm),
};
#undef M

/* ---- the lists ---- */

static void *get_slot(HfSnapshot *snapshot, size_t i)
{
    return i < HF_MACHINE_SLOTS ? &snapshot->machine.generations[i] : NULL;
}

static void *get_request(HfSnapshot *snapshot, size_t i)
{
    return i < HF_MACHINE_REQUESTS ? &snapshot->machine.requests[i] : NULL;
}

#define LIST(noun, list)                                                                           \
    static void *get_##noun(HfSnapshot *snapshot, size_t i)                                        \
    {                                                                                              \
        return i < snapshot->n_##list ? &snapshot->list[i] : NULL;                                 \
    }                                                                                              \
    static void *add_##noun(HfSnapshot *snapshot)                                                  \
    {                                                                                              \
        return hf_snapshot_add_##noun(snapshot);                                                   \
    }
LIST(listener, listeners)
LIST(plan, plans)
LIST(wanted, wanted)
LIST(generation, generations)

#define GROUP(text, noun, adder, most)                                                             \
    {                                                                                              \
        .name = (text), .fields = noun##_fields,                                                   \
        .n_fields = sizeof(noun##_fields) / sizeof(*noun##_fields), .get = get_##noun,             \
        .add = (adder), .maximum = (most)                                                          \
    }

const HfFieldGroup hf_field_groups[] = {
    {.fields = snapshot_fields, .n_fields = sizeof(snapshot_fields) / sizeof(*snapshot_fields)},
    GROUP("slot", slot, NULL, 0),
    GROUP("request", request, NULL, 0),
    GROUP("listener", listener, add_listener, HF_SNAPSHOT_LISTENERS),
    GROUP("plan", plan, add_plan, HF_SNAPSHOT_PLANS),
    GROUP("wanted", wanted, add_wanted, HF_SNAPSHOT_LISTENERS),
    GROUP("generation", generation, add_generation, HF_MACHINE_SLOTS),
};
const size_t hf_field_groups_n = sizeof(hf_field_groups) / sizeof(*hf_field_groups);
