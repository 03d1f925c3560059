/* SPDX-License-Identifier: MIT */
/* Everything another holdfast needs to continue (machine, listeners, plans and generations) as
 * versioned text, and back. One key=value per line; unknown keys are logged and skipped, missing
 * ones have their defaults, so that older and newer versions understand each other. The objects are
 * those of run, as described by one table for both directions. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "policy/machine.h"
#include "run/activated.h"
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

/* A listener of a plan. */
typedef struct HfSnapshotWanted {
    HfPlan *plan;         /* borrowed from the snapshot */
    HfListener *listener; /* likewise */
    HfPlanned planned;
} HfSnapshotWanted;

typedef struct HfSnapshot {
    bool borrowed;              /* the objects belong to somebody else */
    uint64_t sequence;          /* the highest is the newest */
    char *version;              /* of the holdfast that wrote it */
    HfMachine machine;          /* without limits */
    int current;                /* index of the current plan, -1: none */
    char *pid_file;             /* the user's, NULL: none */
    HfSnapshotList notes;       /* HfNote; descriptors are not owned */
    HfSnapshotList listeners;   /* HfListener; without descriptors after reading */
    HfSnapshotList plans;       /* HfPlan */
    HfSnapshotList wanted;      /* HfSnapshotWanted */
    HfSnapshotList generations; /* HfGeneration; not watched after reading */
} HfSnapshot;

#define HF_FIELD_KEEP INT_MAX /* returned by an ENUM's value function for "unchanged" */

typedef enum HfFieldType {
    HF_FIELD_UINT64,
    HF_FIELD_UNSIGNED,
    HF_FIELD_INT,
    HF_FIELD_BOOL,
    HF_FIELD_ENUM,
    HF_FIELD_TEXT,
    HF_FIELD_TEXTS, /* one per line */
    HF_FIELD_COMM,  /* text in an array */
    HF_FIELD_ADDRESS,
    HF_FIELD_PLAN,     /* pointer; written as its index */
    HF_FIELD_LISTENER, /* likewise */
    HF_FIELD_KNOWN,    /* pointer to an object with a name: an adapter, a handoff */
    HF_FIELD_OLD_FD,   /* of 0.1.0, only read: a descriptor, now a note */
    HF_FIELD_OLD_TEXT, /* likewise, a text unless it is 0 */
} HfFieldType;

typedef struct HfFieldWords {
    union {
        struct {
            const char *(*name)(int value);
            int (*value)(const char *name);
        }; /* ENUM */
        struct {
            const char *(*known)(const void *at);
            bool (*find)(const char *name, void *at);
        };                /* KNOWN */
        const char *note; /* OLD_FD, OLD_TEXT: its key */
    };
} HfFieldWords;

#define HF_FIELD_KEY_MAX 20

/* Without pointers: nothing has to be relocated, so the tables are shared and cost no memory. */
typedef struct HfField {
    char key[HF_FIELD_KEY_MAX]; /* NUL-terminated */
    HfFieldType type;
    unsigned words; /* index in hf_field_words */
    unsigned offset;
    /* For an array, one line per element: offset is that of its pointer. 0: not an array */
    unsigned stride;
    unsigned count;   /* offset of the number of elements */
    unsigned member;  /* offset in the element */
    unsigned maximum; /* of elements */
} HfField;

extern const HfFieldWords hf_field_words[];

/* The lines for one kind of object: KEY=VALUE, or NAME.INDEX.KEY=VALUE for a list. */
typedef struct HfFieldGroup {
    const char *name; /* NULL: the snapshot itself */
    const HfField *fields;
    size_t n_fields;
    size_t offset;               /* of the HfSnapshotList, or of the array */
    size_t stride;               /* of an array; 0: it is a list */
    size_t maximum;              /* of elements */
    void *(*make)(void);         /* for a list: an element with its defaults, or NULL */
    void (*free)(void *element); /* an element from make, with its fields */
} HfFieldGroup;

extern const HfFieldGroup hf_field_groups[];
extern const size_t hf_field_groups_n;

static inline HfSnapshotList *hf_field_list(const HfFieldGroup *group, HfSnapshot *snapshot)
{
    return (HfSnapshotList *)((char *)snapshot + group->offset);
}

/* Element i, or NULL past the end. */
void *hf_field_element(const HfFieldGroup *group, HfSnapshot *snapshot, size_t i);
/* Appends an element with its defaults to a list. Returns 0, -E2BIG or -ENOMEM. */
int hf_field_add(const HfFieldGroup *group, HfSnapshot *snapshot, void **ret);
/* An empty one with every default. */
void hf_snapshot_init(HfSnapshot *snapshot);
void hf_snapshot_clear(HfSnapshot *snapshot);
#define HF_CLEANUP_SNAPSHOT __attribute__((cleanup(hf_snapshot_clear)))

/* Appends item; NULL counts as out of memory. Returns 0 or -ENOMEM. */
int hf_snapshot_append(HfSnapshotList *list, void *item);

/* Appends a copy of a note. Returns 0 or -ENOMEM. */
int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd);

/* Appends the text, which ends with its checksum; without memory text has failed. */
void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text);

/* Returns 0, -EBADMSG when text is torn, truncated or unsound, -EPROTONOSUPPORT for an unknown
 * version, -E2BIG beyond the limits, or -ENOMEM. */
int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret);
