/* SPDX-License-Identifier: MIT */
/* Finds processes by session, cgroup, parent, ancestor, or an open socket. proc(5), getsid(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/process.h"

/* Is this process one of those looked for? Returns 1 or 0, or negative errno when it could not be
 * examined. */
typedef int (*HfProcessMatch)(pid_t pid, const void *wanted);
/* May take ownership of the pidfd by leaving HF_PROCESS_NONE behind. A result other than 0 ends the
 * search. */
typedef int (*HfProcessVisit)(HfProcess *process, void *userdata);

/* Returns 0, or -ESRCH. */
int hf_process_open(pid_t pid, HfProcess *ret);
/* Opens pid if it matches and is alive (not a zombie), with a pidfd opened before it was examined,
 * so that a reused pid cannot match. Returns 1, 0 when it does not match, or negative errno
 * (-EMFILE: running short must not hide a process). */
int hf_process_open_match(pid_t pid, HfProcessMatch match, const void *wanted, HfProcess *ret);
/* Visits all processes that match, holding few descriptors however many there are. Returns 0, the
 * result of a visit, or negative errno. */
int hf_process_visit(HfProcessMatch match, const void *wanted, HfProcessVisit visit,
                     void *userdata);

/* Processes of the session sid, or in the cgroup, that run program. */
typedef struct HfMembership {
    pid_t session;
    const char *cgroup;       /* see hf_cgroup_holds; NULL: none */
    const HfProgram *program; /* NULL: any */
    const char *name;         /* a comm that begins like this counts as well, for a program that has
                                 executed another one since; NULL: none */
} HfMembership;
/* wanted: an HfMembership. */
int hf_process_is_member(pid_t pid, const void *wanted);

typedef struct HfFamily {
    pid_t parent;
    const HfProgram *program; /* NULL: any */
} HfFamily;
/* wanted: an HfFamily. */
int hf_process_is_child(pid_t pid, const void *wanted);

/* Is pid a descendant of the calling process, at most 64 generations down? */
int hf_process_is_descendant(pid_t pid, const void *unused);

/* Processes that were found once: identified by their start time, so that no descriptor is needed.
 */
typedef struct HfListedProcess {
    pid_t pid;
    uint64_t started; /* see hf_process_started */
} HfListedProcess;
typedef struct HfProcessList {
    HfListedProcess *list;
    size_t n;
    size_t capacity;
} HfProcessList;
/* Harmless when repeated or when pid has gone. Returns 0 or -ENOMEM. */
int hf_process_list_add(HfProcessList *processes, pid_t pid);
void hf_process_list_clear(HfProcessList *processes);
/* wanted: an HfProcessList. */
int hf_process_is_listed(pid_t pid, const void *wanted);

/* A file as /proc/PID/fdinfo/N identifies it, since Linux 5.14. All sockets are on one mount. */
typedef struct HfFileIdentity {
    uint64_t mount;
    uint64_t inode;
} HfFileIdentity;

/* Processes, other than the calling one, that have one of these sockets open. Those that we may not
 * trace (ptrace(2), PTRACE_MODE_READ) do not match, and before Linux 5.14 none does. */
typedef struct HfHeldSockets {
    HfFileIdentity *identities;
    size_t n;
} HfHeldSockets;
/* fds belong to the calling process. Returns 0 or negative errno. */
int hf_held_sockets_identify(const int *fds, size_t n_fds, HfHeldSockets *ret);
void hf_held_sockets_clear(HfHeldSockets *sockets);
/* wanted: an HfHeldSockets. */
int hf_process_is_holder(pid_t pid, const void *wanted);
/* The same, with the index of the first socket that it holds. */
int hf_process_holds(pid_t pid, const HfHeldSockets *sockets, size_t *ret_which);
