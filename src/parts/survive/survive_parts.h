/* SPDX-License-Identifier: MIT */
/* Shared by the modules of this part: the fd store, the predecessor's legacy, and upgrades. */
#pragma once

#include "parts/survive/snapshot.h"

/* Captures everything except a prepared plan without a generation; borrowed until the next step.
 * Returns 0 or -ENOMEM. */
int hf_snapshot_capture(const HfSupervisor *supervisor, HfSnapshot *ret);

/* systemd's fd store, which survives holdfast. sd_pid_notify_with_fds(3) FDSTORE=1,
 * FileDescriptorStoreMax= of systemd.service(5). All names begin with hf-: listeners hf-l-INODE,
 * main processes' pidfds hf-p-GENERATION, the notify socket hf-n, and two snapshots, hf-s-0 and
 * hf-s-1, written in turn: the newest complete one counts. */
typedef struct HfFdStore HfFdStore;

/* Starts with the descriptors that were passed to us from the store, or known to be in it by an
 * upgraded predecessor. *ret is NULL if there is no store, and all functions accept that. Returns 0
 * or negative errno. */
int hf_fdstore_new(HfSupervisor *supervisor, HfFdStore **ret);
HfFdStore *hf_fdstore_free(HfFdStore *store);
/* Continues to write the snapshots that were passed, from sequence on. */
void hf_fdstore_continue(HfFdStore *store, uint64_t sequence);
/* For an upgrade: records what is in the store, and the position in writing snapshots. Returns 0 or
 * -ENOMEM. */
int hf_fdstore_pass(const HfFdStore *store, HfSnapshot *snapshot);

/* After each step: brings the store in line with what there is, including n restored listeners:
 * adds, writes the snapshot, removes. */
void hf_fdstore_sync(HfFdStore *store, HfListener *const *restored, size_t n);

/* From now on nothing is removed from the store, and no path of a listener in it is unlinked: the
 * next holdfast continues with them. */
void hf_fdstore_leave(HfFdStore *store, HfListener *const *restored, size_t n);

/* What an earlier holdfast left when it died or was upgraded. */
typedef struct HfPredecessor {
    HfSnapshot snapshot;
    uint64_t sequence;     /* of the last snapshot in the store */
    HfListener **restored; /* if it cannot be continued, until the first plan has chosen */
    size_t n_restored;
} HfPredecessor;

/* Reads the snapshot passed by the program that an upgrade replaced. Returns 0, or negative errno
 * with one line in error. */
int hf_adoption_read(int fd, HfSnapshot *ret, HfNotes *notes, HfText *error);

/* Matches the descriptors with the newest snapshot. If it cannot be continued, supervisor->first is
 * START, and the listeners are kept for the first plan. Returns 0, or negative errno and leaves
 * everything to the next holdfast. */
int hf_adoption_find(HfSupervisor *supervisor, HfPredecessor *before, HfText *error);

/* Continues with the machine's state, listeners, plans and generations. The loop, reaper and
 * runtime exist; RESUME or ADOPT has been posted, so that discoveries come after it. Returns 0, or
 * negative errno with one line in error. */
int hf_adoption_restore(HfSupervisor *supervisor, HfSnapshot *snapshot,
                        const HfGenerationCallbacks *callbacks, HfText *error);

/* Tests, instead of running, whether this program understands a snapshot, before an upgrade to it.
 * Returns the exit status. */
int hf_adoption_test(const HfSettings *settings, int fd);

/* How this program was started, and how to start it again. */
typedef enum HfReexecMode {
    HF_SELF_STARTED,
    HF_SELF_RESUMED, /* executed in place of an older holdfast, with its snapshot */
    HF_SELF_TESTED,  /* to check whether it understands one */
} HfReexecMode;

#define HF_SELF_RESUME "--resume="    /* FD, as the first word; for internal use */
#define HF_SELF_TEST   "--self-test=" /* likewise */
#define HF_SELF_PASSED "ok"           /* last line printed by a test that passed */

/* Removes these words from argc and argv, which are borrowed for good. Called once, at the very
 * start. */
void hf_reexec_init(int *argc, char ***argv);

HfReexecMode hf_reexec_mode(void);
/* The descriptor of the snapshot, owned by the first caller; -1 if there is none. */
int hf_reexec_take_snapshot(void);

/* The path under which this program was called; an upgrade executes whatever is there by then.
 * Returns 0 and an owned path, or negative errno. */
int hf_reexec_path(char **ret);

/* The arguments for starting path: WORD (one of the above with its number), then the verb and the
 * rest of ours. Owned. Returns 0 or -ENOMEM. */
int hf_reexec_arguments(const char *path, const char *word, int fd, char ***ret);

/* Replacement of this program by another holdfast: tested on a snapshot, then executed. */
typedef struct HfUpgrading HfUpgrading;

/* Returns 0 or negative errno. */
int hf_upgrading_new(HfSupervisor *supervisor, HfUpgrading **ret);
/* Ends a test in progress. Accepts and returns NULL. */
HfUpgrading *hf_upgrading_free(HfUpgrading *upgrading);

/* Tests the new program on a current snapshot. Ends in UPGRADE_TESTED or UPGRADE_FAILED. store:
 * NULL: none. */
void hf_upgrading_test(HfUpgrading *upgrading, const HfFdStore *store);
/* Executes the new program once no event is left, or posts UPGRADE_TESTED again if there has been
 * one. Does not return, or ends in UPGRADE_FAILED with everything unchanged. */
void hf_upgrading_execute(HfUpgrading *upgrading, const HfFdStore *store);
