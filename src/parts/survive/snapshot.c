/* SPDX-License-Identifier: MIT */
#include "parts/survive/snapshot.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- the names of enums, by int ---- */

#define NAMED(prefix, Type)                                                                        \
    static const char *name_of_##prefix(int value)                                                 \
    {                                                                                              \
        return prefix##_name((Type)value);                                                         \
    }
NAMED(hf_phase, HfPhase)
NAMED(hf_cause, HfCause)
NAMED(hf_request_kind, HfRequestKind)
NAMED(hf_upgrade, HfUpgrade)
NAMED(hf_verdict, HfVerdict)
NAMED(hf_readiness, HfReadiness)
NAMED(hf_kill_mode, HfKillMode)
NAMED(hf_stdin, HfStdin)

/* A stage as two words, as in 0.1.0: that a generation is draining, and how hard it was asked. */
static const char *name_of_state(int stage)
{
    return hf_stage_leaves((HfStage)stage) ? "draining" : hf_stage_name((HfStage)stage);
}

static int state_value(const char *name)
{
    return strcmp(name, "draining") == 0 ? HF_STAGE_STOP : hf_stage_value(name);
}

static const char *name_of_urgency(int stage)
{
    return hf_stage_leaves((HfStage)stage) ? hf_stage_name((HfStage)stage) : "none";
}

static int urgency_value(const char *name)
{
    return strcmp(name, "none") == 0 ? HF_FIELD_KEEP : hf_stage_value(name);
}

/* ---- the names of adapters and handoffs ---- */

#define KIND(noun, Type)                                                                           \
    static const char *name_of_##noun(const void *at)                                              \
    {                                                                                              \
        return (*(const Type *const *)at)->name;                                                   \
    }                                                                                              \
    static bool find_##noun(const char *name, void *at)                                            \
    {                                                                                              \
        return (*(const Type **)at = hf_##noun##_find(name)) != NULL;                              \
    }
KIND(adapter, HfAdapter)
KIND(handoff, HfHandoff)

/* ---- a macro for each kind of row; a member of another type does not compile ---- */

#define TYPE_UINT64   uint64_t
#define TYPE_UNSIGNED unsigned
#define TYPE_INT      int
#define TYPE_BOOL     bool
#define TYPE_TEXT     char *
#define TYPE_TEXTS    char **
#define TYPE_COMM     char *
#define TYPE_ADDRESS  HfAddress
#define TYPE_PLAN     HfPlan *
#define TYPE_LISTENER HfListener *

#define OFFSET(Object, Type, member)                                                               \
    _Generic(((Object *)0)->member, TYPE_##Type : offsetof(Object, member))
#define PLAIN(Object, text, Type, member)                                                          \
    {                                                                                              \
        .key = "" text, .type = HF_FIELD_##Type, .offset = OFFSET(Object, Type, member)            \
    }
#define NAME(Object, text, prefix, member)                                                         \
    {                                                                                              \
        .key = "" text, .type = HF_FIELD_ENUM, .offset = offsetof(Object, member),                 \
        .words = WORDS_##prefix                                                                    \
    }
#define EACH(Object, text, Type, array, n, Element, element, most)                                 \
    {                                                                                              \
        .key = "" text, .type = HF_FIELD_##Type, .offset = offsetof(Object, array),                \
        .stride = sizeof(Element), .count = offsetof(Object, n), .member = (element),              \
        .maximum = (most)                                                                          \
    }
#define KNOWN(Object, noun)                                                                        \
    {                                                                                              \
        .key = #noun, .type = HF_FIELD_KNOWN, .offset = offsetof(Object, noun),                    \
        .words = WORDS_##noun                                                                      \
    }
#define OLD(text, Type, today)                                                                     \
    {                                                                                              \
        .key = "" text, .type = HF_FIELD_OLD_##Type, .words = WORDS_##today                        \
    }

/* ---- what they need pointers for ---- */

enum {
    WORDS_hf_phase,
    WORDS_hf_cause,
    WORDS_hf_request_kind,
    WORDS_hf_upgrade,
    WORDS_hf_verdict,
    WORDS_hf_readiness,
    WORDS_hf_kill_mode,
    WORDS_hf_stdin,
    WORDS_state,
    WORDS_urgency,
    WORDS_adapter,
    WORDS_handoff,
    WORDS_LAST_ID,
    WORDS_ANNOUNCED,
    WORDS_LOCK,
    WORDS_CONTROL,
    WORDS_NOTIFY,
    WORDS_SNAPSHOT_0,
    WORDS_SNAPSHOT_1,
    WORDS_LISTENER,
    WORDS_PROCESS,
};

#define BOTH(prefix) [WORDS_##prefix] = {.name = name_of_##prefix, .value = prefix##_value}
const HfFieldWords hf_field_words[] = {
    BOTH(hf_phase),
    BOTH(hf_cause),
    BOTH(hf_request_kind),
    BOTH(hf_upgrade),
    BOTH(hf_verdict),
    BOTH(hf_readiness),
    BOTH(hf_kill_mode),
    BOTH(hf_stdin),
    BOTH(state),
    BOTH(urgency),
    [WORDS_adapter] = {.known = name_of_adapter, .find = find_adapter},
    [WORDS_handoff] = {.known = name_of_handoff, .find = find_handoff},
    [WORDS_LAST_ID] = {.note = "last-id"},
    [WORDS_ANNOUNCED] = {.note = "announced"},
    [WORDS_LOCK] = {.note = HF_NOTES_LOCK},
    [WORDS_CONTROL] = {.note = HF_NOTES_CONTROL},
    [WORDS_NOTIFY] = {.note = HF_NOTES_NOTIFY},
    [WORDS_SNAPSHOT_0] = {.note = HF_NOTES_SNAPSHOT "-0"},
    [WORDS_SNAPSHOT_1] = {.note = HF_NOTES_SNAPSHOT "-1"},
    [WORDS_LISTENER] = {.note = HF_NOTES_LISTENER},
    [WORDS_PROCESS] = {.note = HF_NOTES_PROCESS},
};
#undef BOTH

/* ---- the objects ---- */

#define M(text, Type, member) PLAIN(HfSnapshot, text, Type, member)
static const HfField snapshot_fields[] = {
    M("sequence", UINT64, sequence),
    M("version", TEXT, version),
    OLD("last-id", TEXT, LAST_ID),
    OLD("announced", TEXT, ANNOUNCED),
    M("pid-file", TEXT, pid_file),
    OLD("lock-fd", FD, LOCK),
    OLD("control-fd", FD, CONTROL),
    OLD("notify-fd", FD, NOTIFY),
    OLD("stored-fd-0", FD, SNAPSHOT_0),
    OLD("stored-fd-1", FD, SNAPSHOT_1),
    M("current", INT, current),
    NAME(HfSnapshot, "phase", hf_phase, machine.phase),
    NAME(HfSnapshot, "cause", hf_cause, machine.cause),
    NAME(HfSnapshot, "pending", hf_request_kind, machine.pending),
    NAME(HfSnapshot, "hurry", urgency, machine.stop_stage),
    NAME(HfSnapshot, "upgrade", hf_upgrade, machine.upgrade),
    NAME(HfSnapshot, "probed", hf_verdict, machine.probed),
    M("planned", BOOL, machine.planned),
    M("side", UNSIGNED, machine.side),
    M("switches", BOOL, machine.switches),
    M("prepared", BOOL, machine.prepared),
    M("overdue", BOOL, machine.overdue),
    M("outage", BOOL, machine.outage),
    M("misses", UNSIGNED, machine.misses),
    M("doubts", UNSIGNED, machine.probe_backoff),
    M("failures", UNSIGNED, machine.failures),
    M("last-number", UINT64, machine.last_number),
};
#undef M

static const HfField note_fields[] = {
    PLAIN(HfNote, "key", TEXT, key),
    PLAIN(HfNote, "text", TEXT, text),
    PLAIN(HfNote, "fd", INT, fd),
};

#define M(text, Type, member) PLAIN(HfMachineGeneration, text, Type, member)
static const HfField slot_fields[] = {
    NAME(HfMachineGeneration, "state", state, stage),
    NAME(HfMachineGeneration, "rung", urgency, stage),
    M("main-exited", BOOL, main_exited),
    M("given-up", BOOL, given_up),
    M("reopen", BOOL, reopen),
    M("side", UNSIGNED, side),
    M("extensions", UNSIGNED, extensions),
    M("number", UINT64, number),
};
#undef M

static const HfField request_fields[] = {
    PLAIN(HfMachineRequest, "id", UINT64, id),
    NAME(HfMachineRequest, "kind", hf_request_kind, kind),
    PLAIN(HfMachineRequest, "next", BOOL, next),
};

_Static_assert(HF_SIDES == 9, "fields for each side");
#define M(text, Type, member) PLAIN(HfListener, text, Type, member)
#define SIDE(which, n)                                                                             \
    M("socket" which, UINT64, sockets[n]), M("device" which, UINT64, inodes[n].device),            \
        M("inode" which, UINT64, inodes[n].inode), M("place" which, UNSIGNED, places[n])
static const HfField listener_fields[] = {
    M("address", ADDRESS, spec.address),
    M("name", TEXT, spec.name),
    M("backlog", INT, spec.backlog),
    M("mode", UNSIGNED, spec.mode),
    M("owner", TEXT, spec.owner),
    M("group", TEXT, spec.group),
    M("acl-users", TEXT, spec.acl_users),
    M("acl-groups", TEXT, spec.acl_groups),
    OLD("fd", FD, LISTENER),
    M("received", BOOL, activated), /* its name in earlier versions */
    M("taken", BOOL, taken),
    M("claimed", BOOL, claimed),
    M("side", UNSIGNED, side),
    M("standby", UNSIGNED, standby),
    SIDE("", 0),
    SIDE("-2", 1),
    SIDE("-3", 2),
    SIDE("-4", 3),
    SIDE("-5", 4),
    SIDE("-6", 5),
    SIDE("-7", 6),
    SIDE("-8", 7),
    SIDE("-9", 8),
    M("ipv6-only", BOOL, spec.ipv6_only),
};
#undef SIDE
#undef M

#define M(text, Type, member) PLAIN(HfPlan, text, Type, member)
#define POOL(text, Type, member)                                                                   \
    EACH(HfPlan, text, Type, pools, n_pools, HfPlanPool, OFFSET(HfPlanPool, Type, member),         \
         HF_LISTENERS_MAX)
static const HfField plan_fields[] = {
    KNOWN(HfPlan, adapter),
    KNOWN(HfPlan, handoff),
    NAME(HfPlan, "readiness", hf_readiness, readiness),
    NAME(HfPlan, "kill-mode", hf_kill_mode, kill_mode),
    M("program", TEXT, program),
    M("argument", TEXTS, arguments),
    M("environment", TEXTS, environment),
    M("directory", TEXT, directory),
    M("document-root", TEXT, document_root),
    M("ready-delay", UINT64, ready_delay),
    M("ready-text", TEXT, ready_text),
    NAME(HfPlan, "stdin", hf_stdin, standard_input),
    M("watchdog", UINT64, watchdog),
    M("stop-signal", INT, stop_signal),
    M("reopen-signal", INT, reopen_signal),
    M("drain-timeout", UINT64, drain_timeout),
    M("has-user", BOOL, credentials.has_user),
    M("has-group", BOOL, credentials.has_group),
    M("uid", UNSIGNED, credentials.uid),
    M("gid", UNSIGNED, credentials.gid),
    EACH(HfPlan, "supplementary", UNSIGNED, credentials.groups, credentials.n_groups, gid_t, 0,
         NGROUPS_MAX),
    M("identity", TEXTS, credentials.environment),
    M("no-new-privileges", BOOL, credentials.no_new_privileges),
    M("capabilities", UINT64, credentials.capabilities),
    M("include", TEXT, include),
    M("restated", TEXT, restated),
    M("pid-file", TEXT, pid_file),
    M("systemd-interval", BOOL, systemd_interval),
    POOL("pool", TEXT, name),
    POOL("memory-limit", TEXT, memory_limit),
    POOL("workers", UINT64, workers),
    M("peak-workers", UINT64, peak_workers),
    M("failures", UNSIGNED, failures),
    M("switches", BOOL, switches),
    POOL("status-path", TEXT, status_path),
    POOL("probe", UNSIGNED, probe),
    POOL("ping-path", TEXT, ping_path),
    POOL("allowed", TEXT, allowed),
    POOL("closed", BOOL, closed),
    POOL("shows-environment", BOOL, shows_environment),
    POOL("pool-user", TEXT, user),
    POOL("pool-group", TEXT, group),
    POOL("pool-chroot", TEXT, chroot),
    POOL("on-demand", BOOL, on_demand),
    POOL("warms", BOOL, warms),
};
#undef POOL
#undef M

#define M(text, Type, member) PLAIN(HfSnapshotWanted, text, Type, member)
static const HfField wanted_fields[] = {
    M("plan", PLAN, plan),
    M("listener", LISTENER, listener),
    M("address", ADDRESS, planned.spec.address),
    M("name", TEXT, planned.spec.name),
    M("pool", UINT64, planned.pool),
    M("status", BOOL, planned.status),
    M("alias", TEXT, planned.alias),
};
#undef M

#define M(text, Type, member) PLAIN(HfGeneration, text, Type, member)
static const HfField generation_fields[] = {
    M("number", UINT64, number),
    M("slot", UNSIGNED, slot),
    M("side", UNSIGNED, side),
    M("plan", PLAN, plan),
    NAME(HfGeneration, "cause", hf_cause, cause),
    M("pid", INT, main.pid),
    M("started", UINT64, started),
    OLD("pidfd", FD, PROCESS),
    M("session", INT, session),
    M("main-exited", BOOL, main_exited),
    M("served", BOOL, served),
    M("removes-path", BOOL, removes_path),
    M("exit-code", INT, status.si_code),
    M("exit-status", INT, status.si_status),
    M("owed-signal", INT, owed),
    M("spawned", UINT64, spawned),
    M("overlay", TEXT, files.overlay),
    M("pid-file", TEXT, files.pid_file),
    M("statuses", TEXT, statuses),
    M("status", TEXT, status_text),
    M("program-device", UINT64, program.device),
    M("program-inode", UINT64, program.inode),
    M("program-comm", COMM, program.comm),
};
#undef M

#define FIELDS(noun) .fields = noun##_fields, .n_fields = sizeof(noun##_fields) / sizeof(HfField)

/* Frees the texts of an object without lists of texts or arrays; plans free their own. */
static void clear_fields(const HfField *fields, size_t n, void *object)
{
    for (size_t i = 0; i < n; i++)
        if (fields[i].type == HF_FIELD_TEXT)
            hf_freep((char *)object + fields[i].offset);
}

/* ---- the elements ---- */

static void *make_listener(void)
{
    HfListener *listener = hf_listener_new();

    if (listener)
        listener->stays = true; /* while it only describes another process's */
    return listener;
}

static void free_listener(void *element)
{
    hf_listener_unref(element);
}

static void *make_plan(void)
{
    HfPlan *plan = NULL;

    return hf_plan_new(&plan) < 0 ? NULL : plan;
}

static void free_plan(void *element)
{
    hf_plan_unref(element);
}

static void *make_wanted(void)
{
    HfSnapshotWanted *wanted = calloc(1, sizeof(*wanted));

    if (wanted)
        hf_listener_spec_init(&wanted->planned.spec);
    return wanted;
}

static void free_wanted(void *element)
{
    clear_fields(wanted_fields, sizeof(wanted_fields) / sizeof(*wanted_fields), element);
    free(element);
}

static void *make_generation(void)
{
    HfGeneration *generation = calloc(1, sizeof(*generation));

    if (generation)
        *generation = HF_GENERATION_NONE;
    return generation;
}

static void free_generation(void *element)
{
    hf_process_clear(&((HfGeneration *)element)->main);
    clear_fields(generation_fields, sizeof(generation_fields) / sizeof(*generation_fields),
                 element);
    free(element);
}

static void *make_note(void)
{
    HfNote *note = calloc(1, sizeof(*note));

    if (note)
        note->fd = -1;
    return note;
}

/* A note's descriptor belongs to whoever takes it. */
static void free_note(void *element)
{
    clear_fields(note_fields, sizeof(note_fields) / sizeof(*note_fields), element);
    free(element);
}

#define ARRAY(text, noun, array)                                                                   \
    {                                                                                              \
        .name = (text), FIELDS(noun), .offset = offsetof(HfSnapshot, array),                       \
        .stride = sizeof(*((HfSnapshot *)0)->array),                                               \
        .maximum = sizeof(((HfSnapshot *)0)->array) / sizeof(*((HfSnapshot *)0)->array)            \
    }
#define LIST(noun, list, most)                                                                     \
    {                                                                                              \
        .name = #noun, FIELDS(noun), .offset = offsetof(HfSnapshot, list), .maximum = (most),      \
        .make = make_##noun, .free = free_##noun                                                   \
    }

const HfFieldGroup hf_field_groups[] = {
    {FIELDS(snapshot)},
    ARRAY("slot", slot, machine.generations),
    ARRAY("request", request, machine.requests),
    LIST(listener, listeners, HF_SNAPSHOT_LISTENERS),
    LIST(plan, plans, HF_SNAPSHOT_PLANS),
    LIST(wanted, wanted, HF_SNAPSHOT_LISTENERS),
    LIST(generation, generations, HF_MACHINE_SLOTS),
    LIST(note, notes, HF_SNAPSHOT_NOTES),
};
const size_t hf_field_groups_n = sizeof(hf_field_groups) / sizeof(*hf_field_groups);

void *hf_field_element(const HfFieldGroup *group, HfSnapshot *snapshot, size_t i)
{
    const HfSnapshotList *list = hf_field_list(group, snapshot);

    if (group->stride > 0)
        return i < group->maximum ? (char *)snapshot + group->offset + i * group->stride : NULL;
    return i < list->n ? list->items[i] : NULL;
}

int hf_field_add(const HfFieldGroup *group, HfSnapshot *snapshot, void **ret)
{
    HfSnapshotList *list = hf_field_list(group, snapshot);

    if (list->n >= group->maximum)
        return -E2BIG;
    int r = hf_array_reserve(&list->items, &list->room, list->n + 1, sizeof(*list->items));
    if (r < 0)
        return r;
    void *element = group->make();
    if (!element)
        return -ENOMEM;
    list->items[list->n++] = *ret = element;
    return 0;
}

void hf_snapshot_init(HfSnapshot *snapshot)
{
    memset(snapshot, 0, sizeof(*snapshot));
    snapshot->current = -1;
}

/* Forgets borrowed objects. */
static void clear_borrowed(HfSnapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->wanted.n; i++)
        ((HfSnapshotWanted *)snapshot->wanted.items[i])->planned = (HfPlanned){0};
    snapshot->listeners.n = snapshot->plans.n = snapshot->generations.n = 0;
    snapshot->version = snapshot->pid_file = NULL;
}

void hf_snapshot_clear(HfSnapshot *snapshot)
{
    if (snapshot->borrowed)
        clear_borrowed(snapshot);
    for (size_t g = 0; g < hf_field_groups_n; g++) {
        const HfFieldGroup *group = &hf_field_groups[g];
        HfSnapshotList *list = hf_field_list(group, snapshot);
        if (!group->make)
            continue;
        for (size_t i = 0; i < list->n; i++)
            group->free(list->items[i]);
        hf_freep(&list->items);
    }
    clear_fields(hf_field_groups[0].fields, hf_field_groups[0].n_fields, snapshot);
    hf_snapshot_init(snapshot);
}

int hf_snapshot_append(HfSnapshotList *list, void *item)
{
    int r = item ? hf_array_reserve(&list->items, &list->room, list->n + 1, sizeof(*list->items))
                 : -ENOMEM;

    if (r >= 0)
        list->items[list->n++] = item;
    return r;
}

int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd)
{
    HfNote *note = calloc(1, sizeof(*note));

    int r = note ? hf_string_set(&note->key, key) : -ENOMEM;
    if (r >= 0)
        r = hf_string_set(&note->text, text);
    if (r >= 0)
        r = hf_snapshot_append(&snapshot->notes, note);
    if (r >= 0) {
        note->fd = fd;
    } else if (note) {
        free(note->key);
        free(note->text);
        free(note);
    }
    return r;
}
