/* SPDX-License-Identifier: MIT */
/* The instance's place on disk, locked: /run/holdfast/NAME, for root and below systemd's
 * RuntimeDirectory=, else $XDG_RUNTIME_DIR/holdfast/NAME. In a container that cannot be written
 * it is in memory: names of abstract sockets, unix(7), and inherited files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

#include "base/text.h"
#include "loop/cgroups.h"

typedef struct HfRelayKind HfRelayKind;

/* What everybody who watches the directory asks for, inotify(7): sd-event 252 loops for ever over
 * an event of an inode when none of the inode's sources asks for that event any more. */
#define HF_RUNTIME_CHANGES                                                                         \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)

/* How many first starts have failed in a row, below a directory that outlives us. */
#define HF_RUNTIME_FAILURES "failures"

typedef struct HfRuntime {
    char *directory; /* made if it was not there; in memory: begins with '@' */
    char *aliases;   /* DIRECTORY/none: what unix listeners are called in overlays; never made */
    char *statuses;  /* DIRECTORY/status: private sockets of php-fpm; made when there is one */
    char *notify;    /* path of the notify socket */
    char *control;   /* path of the control socket; NULL in memory: there is none */
    HfCgroups cgroups;
    const HfRelayKind *relays; /* see run/generation.h; NULL: no part makes any */
    uint32_t incarnation;      /* part of our generations' file names, to tell them from a dead
                                  holdfast's; 0: not begun */
    bool in_memory;
    bool lost; /* in memory only because the directory was removed and could not be made again */
    int lock;  /* held for as long as the instance runs; -1 when it began in memory */
} HfRuntime;

/* The paths, without touching the disk. Returns 0 or -ENOMEM. */
int hf_runtime_name(const char *name, HfRuntime *ret);
/* Files are our own from now on. Returns 0 or negative errno. */
int hf_runtime_begin(HfRuntime *runtime);
/* Makes the directory and locks it; where the file system is read-only, or the first process of a
 * container may not write, the instance is in memory from then on. Returns 0, or negative errno
 * with one line in error. */
int hf_runtime_claim(HfRuntime *runtime, const char *name, HfText *error);
/* Something may have been removed from it: makes the directory, and the lock in it, again; one that
 * was lost is on disk again then. Returns 0, 1 when it had to, or negative errno with one line in
 * error. */
int hf_runtime_remake(HfRuntime *runtime, const char *name, HfText *error);
/* It could not: into memory, until it can. Returns 0 or negative errno. */
int hf_runtime_lose(HfRuntime *runtime, const char *name);
/* What a holdfast before us left has gone: so do its files, but for those of a php-fpm that runs.
 */
void hf_runtime_sweep(const HfRuntime *runtime);
/* Removes the directory if it was claimed, but for what a php-fpm that a holdfast before us left is
 * still using, and frees. */
void hf_runtime_release(HfRuntime *runtime);

/* DIRECTORY/gen-NUMBER-INCARNATION.SUFFIX, or DIRECTORY/canary-INCARNATION.SUFFIX for 0. Owned.
 * Returns 0 or -ENOMEM. */
int hf_runtime_file(const HfRuntime *runtime, uint64_t number, const char *suffix, char **ret);

/* DIRECTORY/status/NUMBER-INCARNATION, see hf_plan_status_socket. Owned. Returns 0 or -ENOMEM. */
int hf_runtime_statuses(const HfRuntime *runtime, uint64_t number, char **ret);
