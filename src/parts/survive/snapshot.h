/* Everything that another holdfast needs to go on: machine, listeners, plans and generations, as
 * versioned text and back. One key=value a line; unknown keys are skipped, absent ones have their
 * defaults, so that an older and a newer holdfast understand one another. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/settings.h"
#include "policy/machine.h"

#define HF_SNAPSHOT_MAX    (16U << 20) /* bytes */
#define HF_SNAPSHOT_COPIES 2           /* in the fd store */
#define HF_SNAPSHOT_PLANS                                                                          \
    (HF_MACHINE_SLOTS + 1) /* one of each generation at most, and the current one */
#define HF_SNAPSHOT_LISTENERS (HF_LISTENERS_MAX * HF_SNAPSHOT_PLANS)

typedef struct HfSnapshotNumbers {
    uint64_t *list; /* owned */
    size_t n;
    size_t capacity;
} HfSnapshotNumbers;

/* A descriptor is one of the process that reads the snapshot, -1 where it comes by another way. */
typedef struct HfSnapshotListener {
    HfListenerSpec spec; /* owned; address NONE: not said */
    int fd;
    uint64_t socket; /* its inode, which tells it from any other; 0: not known */
    bool taken;      /* its path is still another server's */
    bool stored;     /* in the fd store */
    bool received;   /* from systemd, in LISTEN_FDS */
    uint64_t device; /* of the path that was bound */
    uint64_t inode;  /* 0: none was */
} HfSnapshotListener;

typedef struct HfSnapshotWanted {
    unsigned plan;     /* index */
    unsigned listener; /* index */
    HfAddress address;
    char *name;
    unsigned pool;
    bool status;
    char *alias; /* NULL: none */
} HfSnapshotWanted;

/* run/plan.h says what each is. Owned. */
typedef struct HfSnapshotPlan {
    char *adapter; /* name */
    char *handoff; /* name */
    char *program;
    char **arguments;
    char **environment;
    char *directory;
    HfReadiness readiness;
    HfKillMode kill_mode;
    uint64_t ready_delay;
    char *ready_text;
    int stop_signal;
    int reopen_signal;
    uint64_t drain_timeout;
    bool has_user;
    bool has_group;
    unsigned uid;
    unsigned gid;
    HfSnapshotNumbers groups;
    char **identity; /* environment of the user */
    bool no_new_privileges;
    uint64_t capabilities;
    char *include;
    char *pid_file;
    bool systemd_interval;
    char **pools;
    char **memory_limits;
    HfSnapshotNumbers workers;
    uint64_t peak_workers;
    char **status_paths;      /* one a pool, as the next, or NULL: not probed */
    HfSnapshotNumbers probes; /* 1 pings, 2 counts, 4 listens, 8 writes_path */
} HfSnapshotPlan;

typedef struct HfSnapshotGeneration {
    uint64_t number;
    unsigned slot;
    unsigned plan; /* index */
    HfCause cause;
    unsigned pid;
    uint64_t started; /* usec since boot, to tell a reused pid */
    int pidfd;
    unsigned session;
    bool stored; /* pidfd, in the fd store */
    bool main_exited;
    int exit_code; /* si_code and si_status of waitid(2), once it has exited; 0: not known */
    int exit_status;
    int owed;         /* signal that its members could not be sent yet; 0: none */
    uint64_t spawned; /* usec, CLOCK_MONOTONIC */
    char *overlay;    /* path, NULL: none */
    char *pid_file;   /* path, NULL: none */
    char *statuses;   /* path, NULL: none */
    char *status;     /* what it said last, NULL: nothing */
    uint64_t program_device;
    uint64_t program_inode;
    char *program_comm;
} HfSnapshotGeneration;

typedef struct HfSnapshot {
    uint64_t sequence; /* the greatest is the newest */
    char *version;     /* of the holdfast that wrote it */
    HfMachine machine; /* without limits */
    int current;       /* index of the current plan, -1: none */
    uint64_t last_id;
    bool announced;
    char *pid_file; /* the user's, NULL: none */
    int lock_fd;
    int control_fd;
    int notify_fd;
    int stored_fds[HF_SNAPSHOT_COPIES]; /* the copies, in an upgrade */
    HfSnapshotListener *listeners;
    size_t n_listeners;
    size_t room_listeners;
    HfSnapshotPlan *plans;
    size_t n_plans;
    size_t room_plans;
    HfSnapshotWanted *wanted;
    size_t n_wanted;
    size_t room_wanted;
    HfSnapshotGeneration *generations;
    size_t n_generations;
    size_t room_generations;
} HfSnapshot;

/* Nothing in it, every default set. */
void hf_snapshot_init(HfSnapshot *snapshot);
void hf_snapshot_clear(HfSnapshot *snapshot);
#define HF_CLEANUP_SNAPSHOT __attribute__((cleanup(hf_snapshot_clear)))

/* One more, with its defaults, at the end. Return it, borrowed until the next one, or NULL without
 * memory or above the bound. */
HfSnapshotListener *hf_snapshot_add_listener(HfSnapshot *snapshot);
HfSnapshotPlan *hf_snapshot_add_plan(HfSnapshot *snapshot);
HfSnapshotWanted *hf_snapshot_add_wanted(HfSnapshot *snapshot);
HfSnapshotGeneration *hf_snapshot_add_generation(HfSnapshot *snapshot);

/* Appends the text, which ends with its checksum; text has failed when there was no memory. */
void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text);

/* Returns 0, or -EBADMSG for text that is torn, cut or not a sound snapshot, -EPROTONOSUPPORT for
 * one of a version that cannot be read, -E2BIG beyond the bounds, -ENOMEM. */
int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret);
