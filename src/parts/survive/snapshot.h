/* Everything that another holdfast needs to go on: machine, listeners, plans and generations, as
 * versioned text and back. One key=value a line; unknown keys are logged and skipped, absent ones
 * have their defaults, so that an older and a newer holdfast understand one another. The objects
 * are those of run, described by snapshot_fields.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "policy/machine.h"
#include "run/notes.h"
#include "run/supervisor.h"

#define HF_SNAPSHOT_MAX    (16U << 20) /* bytes */
#define HF_SNAPSHOT_COPIES 2           /* in the fd store */
#define HF_SNAPSHOT_PLANS                                                                          \
    (HF_MACHINE_SLOTS + 1) /* one of each generation at most, and the current one */
#define HF_SNAPSHOT_LISTENERS (HF_LISTENERS_MAX * HF_SNAPSHOT_PLANS)
#define HF_SNAPSHOT_NOTES     (HF_SNAPSHOT_LISTENERS + HF_MACHINE_SLOTS + 16)

typedef struct HfSnapshotList {
    void **items;
    size_t n;
    size_t room;
} HfSnapshotList;

/* One listener of one plan. */
typedef struct HfSnapshotWanted {
    HfPlan *plan;         /* borrowed, of the snapshot */
    HfListener *listener; /* likewise */
    HfPlanned planned;
} HfSnapshotWanted;

typedef struct HfSnapshot {
    bool borrowed;              /* all that it leads to is somebody else's */
    uint64_t sequence;          /* the greatest is the newest */
    char *version;              /* of the holdfast that wrote it */
    HfMachine machine;          /* without limits */
    int current;                /* index of the current plan, -1: none */
    char *pid_file;             /* the user's, NULL: none */
    HfSnapshotList notes;       /* HfNote; descriptors are not owned */
    HfSnapshotList listeners;   /* HfListener; one that was read has no descriptor */
    HfSnapshotList plans;       /* HfPlan */
    HfSnapshotList wanted;      /* HfSnapshotWanted */
    HfSnapshotList generations; /* HfGeneration; one that was read is not watched */
} HfSnapshot;

/* Nothing in it, every default set. */
void hf_snapshot_init(HfSnapshot *snapshot);
void hf_snapshot_clear(HfSnapshot *snapshot);
#define HF_CLEANUP_SNAPSHOT __attribute__((cleanup(hf_snapshot_clear)))

/* Everything but a prepared plan that no generation was made of, borrowed until the next step.
 * Returns 0 or -ENOMEM. */
int hf_snapshot_capture(const HfSupervisor *supervisor, HfSnapshot *ret);

/* Adds a note, copied. Returns 0 or -ENOMEM. */
int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd);

/* Appends the text, which ends with its checksum; text has failed when there was no memory. */
void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text);

/* Returns 0, or -EBADMSG for text that is torn, cut or not a sound snapshot, -EPROTONOSUPPORT for
 * one of a version that cannot be read, -E2BIG beyond the bounds, -ENOMEM. */
int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret);
