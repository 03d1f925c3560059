/* SPDX-License-Identifier: MIT */
/* Processes found by what they are: of a session or a cgroup, with a parent, an ancestor, or a
 * socket open. proc(5), getsid(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/process.h"

/* Is this process one of those looked for: 1 or 0, or negative errno when looking itself failed. */
typedef int (*HfProcessMatch)(pid_t pid, const void *wanted);
/* May take the pidfd over, and leaves HF_PROCESS_NONE behind then. Not 0: the look ends. */
typedef int (*HfProcessVisit)(HfProcess *process, void *userdata);

/* Returns 0, or -ESRCH. */
int hf_process_open(pid_t pid, HfProcess *ret);
/* Opens pid if it matches and lives (is no zombie): held by pidfd, and known to have been alive
 * after all this was looked at. Returns 1, 0 when it does not, or negative errno: an own shortage
 * (-EMFILE) must not hide a process. */
int hf_process_open_match(pid_t pid, HfProcessMatch match, const void *wanted, HfProcess *ret);
/* Visits all processes that match. Needs few descriptors, however many those are. Returns 0, what a
 * visit returned, or negative errno. */
int hf_process_visit(HfProcessMatch match, const void *wanted, HfProcessVisit visit,
                     void *userdata);

/* Whose processes: of the session (sid), or in the cgroup, those that run program. */
typedef struct HfMembership {
    pid_t session;
    const char *cgroup;       /* see hf_cgroup_holds; NULL: none */
    const HfProgram *program; /* NULL: any */
    const char *name; /* of the programs that count beside that one: the beginning of their comm,
                         for a program that has executed another one since; NULL: none */
} HfMembership;
/* wanted: an HfMembership. */
int hf_process_is_member(pid_t pid, const void *wanted);

typedef struct HfFamily {
    pid_t parent;
    const HfProgram *program; /* NULL: any */
} HfFamily;
/* wanted: an HfFamily. */
int hf_process_is_child(pid_t pid, const void *wanted);

/* Of the calling process, at most 64 parents up. */
int hf_process_is_descendant(pid_t pid, const void *unused);

/* Processes that were found once: known by when they began, no descriptor is held. */
typedef struct HfListedProcess {
    pid_t pid;
    uint64_t started; /* see hf_process_started */
} HfListedProcess;
typedef struct HfProcessList {
    HfListedProcess *list;
    size_t n;
    size_t capacity;
} HfProcessList;
/* Harmless when repeated, and when it has gone. Returns 0 or -ENOMEM. */
int hf_process_list_add(HfProcessList *processes, pid_t pid);
void hf_process_list_clear(HfProcessList *processes);
/* wanted: an HfProcessList. */
int hf_process_is_listed(pid_t pid, const void *wanted);

/* A file as /proc/PID/fdinfo/N tells of it, since Linux 5.14. All sockets are of one mount. */
typedef struct HfFileIdentity {
    uint64_t mount;
    uint64_t inode;
} HfFileIdentity;

/* Who holds one of these sockets open, other than the calling process. Those that may not be traced
 * (ptrace(2), PTRACE_MODE_READ) do not match; nobody does before Linux 5.14. */
typedef struct HfHeldSockets {
    HfFileIdentity *identities;
    size_t n;
} HfHeldSockets;
/* fds: of the calling process. Returns 0 or negative errno. */
int hf_held_sockets_identify(const int *fds, size_t n_fds, HfHeldSockets *ret);
void hf_held_sockets_clear(HfHeldSockets *sockets);
/* wanted: an HfHeldSockets. */
int hf_process_is_holder(pid_t pid, const void *wanted);
/* The same, and the first one that it holds, by its index. */
int hf_process_holds(pid_t pid, const HfHeldSockets *sockets, size_t *ret_which);
