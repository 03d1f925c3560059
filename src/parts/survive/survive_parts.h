/* SPDX-License-Identifier: MIT */
/* What the modules of this part have for one another: the fd store, what a predecessor left, and an
 * upgrade. */
#pragma once

#include "parts/survive/snapshot.h"

/* Everything but a prepared plan that no generation was made of, borrowed until the next step.
 * Returns 0 or -ENOMEM. */
int hf_snapshot_capture(const HfSupervisor *supervisor, HfSnapshot *ret);

/* systemd's fd store: what it keeps while holdfast is dead. sd_pid_notify_with_fds(3) FDSTORE=1,
 * FileDescriptorStoreMax= of systemd.service(5). Everything is named hf-...: listeners hf-l-INODE,
 * main processes' pidfds hf-p-GENERATION, the notify socket hf-n, and the snapshot twice, hf-s-0
 * and hf-s-1, which are written in turn: the newest whole one counts. */
typedef struct HfFdStore HfFdStore;

/* What was passed on is in the store, or was when the program before this one was replaced. No
 * store above us: *ret is NULL then, which all take. Returns 0 or negative errno. */
int hf_fdstore_new(HfSupervisor *supervisor, HfFdStore **ret);
HfFdStore *hf_fdstore_free(HfFdStore *store);
/* The snapshots that were passed on go on being written, from sequence on. */
void hf_fdstore_continue(HfFdStore *store, uint64_t sequence);
/* For an upgrade: what is in the store, and where it is in writing snapshots. Returns 0 or -ENOMEM.
 */
int hf_fdstore_pass(const HfFdStore *store, HfSnapshot *snapshot);

/* After each step: compares what is in the store with what there is, besides n kept listeners, puts
 * in, writes the snapshot, takes out. */
void hf_fdstore_sync(HfFdStore *store, HfListener *const *kept, size_t n);

/* Nothing is taken out from now on, and no path is removed with a listener that is in it: whoever
 * is started next goes on with them. */
void hf_fdstore_leave(HfFdStore *store, HfListener *const *kept, size_t n);

/* What a holdfast before this one left, after a death or in an upgrade: found, tried, taken over.
 */
typedef struct HfPredecessor {
    HfSnapshot snapshot;
    uint64_t sequence; /* of the last one in the store */
    HfListener **kept; /* where it cannot be gone on with, until the first plan has chosen */
    size_t n_kept;
} HfPredecessor;

/* Reads what the program before this one has passed in an upgrade. Returns 0, or negative errno
 * with one line in error. */
int hf_adoption_read(int fd, HfSnapshot *ret, HfNotes *notes, HfText *error);

/* Fits the descriptors to the newest snapshot. Where it cannot be gone on with, supervisor->first
 * is START, and the listeners are kept for the first plan. Returns 0, or negative errno, which
 * leaves all to the next one. */
int hf_adoption_find(HfSupervisor *supervisor, HfPredecessor *before, HfText *error);

/* Takes over the machine's state, listeners, plans and generations. The loop, reaper and runtime
 * stand; RESUME or ADOPT has been posted, so that what is found out at once comes after it. Returns
 * 0, or negative errno with one line in error. */
int hf_adoption_restore(HfSupervisor *supervisor, HfSnapshot *snapshot,
                        const HfGenerationCallbacks *callbacks, HfText *error);

/* Would it be understood? Instead of everything else, in the test before an upgrade. Returns the
 * exit status. */
int hf_adoption_test(const HfSettings *settings, int fd);

/* The program that holdfast itself is: how it was started, and how it is started again. */
typedef enum HfReexecMode {
    HF_SELF_STARTED,
    HF_SELF_RESUMED, /* executed in the place of an older holdfast, whose snapshot it has */
    HF_SELF_TESTED,  /* only to see whether it would understand that */
} HfReexecMode;

#define HF_SELF_RESUME "--resume="    /* FD, as first word; for holdfast's own use */
#define HF_SELF_TEST   "--self-test=" /* likewise */
#define HF_SELF_PASSED "ok"           /* the last line that a passed test prints */

/* Takes those words out of argc and argv, which are borrowed for good. Once, at the very start. */
void hf_reexec_init(int *argc, char ***argv);

HfReexecMode hf_reexec_mode(void);
/* Of the snapshot, owned by whoever reads it first; -1 when it was started. */
int hf_reexec_take_snapshot(void);

/* The path by which this program was called, as long as it led to it; what stands there later is
 * what an upgrade executes. Returns 0 and an owned path, or negative errno. */
int hf_reexec_path(char **ret);

/* The words to start path with instead: WORD (one of the above with its number), then the verb and
 * all that followed it. Owned. Returns 0 or -ENOMEM. */
int hf_reexec_arguments(const char *path, const char *word, int fd, char ***ret);

/* Another holdfast in the place of this one: tried out on a snapshot, then executed. */
typedef struct HfUpgrading HfUpgrading;

/* Returns 0 or negative errno. */
int hf_upgrading_new(HfSupervisor *supervisor, HfUpgrading **ret);
/* A test that is under way ends. NULL is fine. Returns NULL. */
HfUpgrading *hf_upgrading_free(HfUpgrading *upgrading);

/* Runs the new program on a snapshot of now. Ends in UPGRADE_TESTED or UPGRADE_FAILED. store: NULL
 * when there is none. */
void hf_upgrading_test(HfUpgrading *upgrading, const HfFdStore *store);
/* Executes it once nothing else waits, if nothing has happened until then: else UPGRADE_TESTED
 * comes again. Does not return, or ends in UPGRADE_FAILED with everything as it was. */
void hf_upgrading_execute(HfUpgrading *upgrading, const HfFdStore *store);
