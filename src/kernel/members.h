/* Processes found by what they are: of a session, or with a socket open. proc(5), getsid(2). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "kernel/process.h"

/* Whose processes: of the session (sid), or in the cgroup, those that run program. */
typedef struct HfMembership {
    pid_t session;
    const char *cgroup;       /* path in the v2 hierarchy, see hf_cgroup_holds; NULL: none */
    const HfProgram *program; /* NULL: any */
} HfMembership;

/* Opens the living (no zombies) ones, each held by pidfd and known to have been alive after all
 * this was looked at. One descriptor a process: -EMFILE is possible. Owned array. Returns 0 or
 * negative errno. */
int hf_process_members(const HfMembership *membership, HfProcess **ret, size_t *ret_n);

/* Opens pid if it is one of those. Returns 1, 0 when it is not, or negative errno.
 */
int hf_process_open_member(pid_t pid, const HfMembership *membership, HfProcess *ret);

/* Opens the living processes that descend from the calling one, by their parents; as above. */
int hf_process_descendants(HfProcess **ret, size_t *ret_n);
/* Is the calling process an ancestor of pid, at most 64 parents up? */
bool hf_process_is_descendant(pid_t pid);
/* The living children of a process that run program (NULL: any), as above. */
int hf_process_children(pid_t parent, const HfProgram *program, HfProcess **ret, size_t *ret_n);

/* Opens a process by its pid. Returns 0, or -ESRCH. */
int hf_process_open(pid_t pid, HfProcess *ret);

/* Frees what hf_process_members gave. */
void hf_process_array_free(HfProcess *processes, size_t n);

/* Processes (outside the calling one) that hold one of these sockets of ours open, each held by
 * pidfd; ours: only descendants of it, which is a shorter look. As above. Those that may not be
 * traced (ptrace(2), PTRACE_MODE_READ) are passed over; so are all before Linux 5.14. */
int hf_process_socket_holders(const int *fds, size_t n_fds, bool ours, HfProcess **ret,
                              size_t *ret_n);
