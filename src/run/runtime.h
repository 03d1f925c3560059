/* SPDX-License-Identifier: MIT */
/* The instance's place on disk, locked: /run/holdfast/NAME, for root and below systemd's
 * RuntimeDirectory=, else $XDG_RUNTIME_DIR/holdfast/NAME. In a container without a writable place
 * it is in memory: abstract sockets, unix(7), and inherited files. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/inotify.h>

#include "base/text.h"
#include "format/address.h"
#include "loop/cgroups.h"

typedef struct HfRelayKind HfRelayKind;

/* Everybody who watches the directory must ask for these events, inotify(7): sd-event 252 loops for
 * ever over an event that none of the sources of an inode asks for any more. */
#define HF_RUNTIME_CHANGES                                                                         \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)

/* File with the number of first starts that failed in a row, in a directory that outlives us. */
#define HF_RUNTIME_FAILURES "failures"

typedef struct HfRuntime {
    char *directory; /* created if necessary; in memory: begins with '@' */
    char *aliases;   /* DIRECTORY/none: names of unix listeners in overlays; never created */
    char *statuses;  /* DIRECTORY/status: private sockets of php-fpm; created when needed */
    char *notify;    /* path of the notify socket */
    char *control;   /* path of the control socket; NULL in memory, where there is none */
    HfCgroups cgroups;
    const HfRelayKind *relays; /* see run/generation.h; NULL: no part provides any */
    uint32_t incarnation;      /* part of our generations' file names, to tell them from a dead
                                  holdfast's; 0: not begun */
    bool in_memory;
    bool lost; /* in memory only because the directory was removed and could not be made again */
    int lock;  /* held as long as the instance runs; -1 if it began in memory */
} HfRuntime;

/* Sets the paths, without touching the disk. Returns 0 or -ENOMEM. */
int hf_runtime_name(const char *name, HfRuntime *ret);
/* Chooses the incarnation for our files. Returns 0 or negative errno. */
int hf_runtime_begin(HfRuntime *runtime);
/* Creates and locks the directory; where the file system is read-only, or the first process of a
 * container may not write, the instance is in memory from then on. Returns 0, or negative errno
 * with one line in error. */
int hf_runtime_claim(HfRuntime *runtime, const char *name, HfText *error);
/* Creates the directory and its lock again if they were removed; an instance that had been moved to
 * memory returns to disk. Returns 0, 1 when it had to, or negative errno with one line in error. */
int hf_runtime_remake(HfRuntime *runtime, const char *name, HfText *error);
/* Moves to memory until that is possible again. Returns 0 or negative errno. */
int hf_runtime_lose(HfRuntime *runtime, const char *name);
/* Processes left by an earlier holdfast have gone: removes its files, except those of a php-fpm
 * that still runs. */
void hf_runtime_sweep(const HfRuntime *runtime);
/* Removes the directory if it was claimed, except for files still used by a php-fpm that an earlier
 * holdfast left, and frees. */
void hf_runtime_release(HfRuntime *runtime);

/* DIRECTORY/canary.NUMBER, where a canary listens instead of at listener NUMBER of its plan.
 * Returns 0, or negative errno as hf_address_parse. */
int hf_runtime_canary(const HfRuntime *runtime, size_t number, HfAddress *ret);
/* DIRECTORY/gen-NUMBER-INCARNATION.SUFFIX, or DIRECTORY/canary-INCARNATION.SUFFIX for 0. Owned.
 * Returns 0 or -ENOMEM. */
int hf_runtime_file(const HfRuntime *runtime, uint64_t number, const char *suffix, char **ret);

/* DIRECTORY/status/NUMBER-INCARNATION, see hf_plan_status_socket. Owned. Returns 0 or -ENOMEM. */
int hf_runtime_statuses(const HfRuntime *runtime, uint64_t number, char **ret);
