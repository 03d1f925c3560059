/* What the files of sys/members share. Private to them. */
#pragma once

#include <dirent.h>

#include "kernel/members.h"

/* Is this process one of those looked for: 1 or 0, or negative errno when looking itself failed. */
typedef int (*HfMembersMatch)(pid_t pid, const void *wanted);

/* Opens the living processes that match; as hf_process_members. */
int hf_members_scan(HfMembersMatch match, const void *wanted, HfProcess **ret, size_t *ret_n);

/* error: an errno. A process that has gone or may not be looked at is no match, 0; an own shortage
 * must not hide one: negative errno. */
int hf_members_no_match_unless_short(int error);

/* Does pid descend from the calling process, at most 64 parents up? unused: as a match. */
int hf_members_is_descendant(pid_t pid, const void *unused);

static inline void hf_members_close_directory(DIR **directory)
{
    if (*directory)
        closedir(*directory);
}
#define HF_CLEANUP_DIRECTORY __attribute__((cleanup(hf_members_close_directory)))
