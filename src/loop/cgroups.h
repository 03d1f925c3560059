/* SPDX-License-Identifier: MIT */
/* The control groups of an instance: where it is itself, and a sub-cgroup for each generation where
 * its own was delegated to it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct HfCgroups {
    char *prefix;    /* of the names of this instance's sub-cgroups */
    char *directory; /* of our own v2 cgroup, NULL when it is not delegated */
    char *path;      /* the same as /proc/PID/cgroup shows it, "" for the root */
    char *oom_file;  /* that counts the OOM kills of our own cgroup, NULL: none does */
} HfCgroups;

/* name: of the instance. use: make sub-cgroups where that may be done. What cannot be looked at is
 * not there. Returns 0 or -ENOMEM. */
int hf_cgroups_find(const char *name, bool use, HfCgroups *ret);
/* At the end: processes that go on are moved up into our own cgroup, no sub-cgroup stays. Frees. */
void hf_cgroups_release(HfCgroups *cgroups);
/* Removes those that nobody is in any more. */
void hf_cgroups_sweep(const HfCgroups *cgroups);

/* One generation's; all empty: it has none. */
typedef struct HfSubgroup {
    char *directory;
    char *path; /* as /proc/PID/cgroup shows it */
    int procs;  /* for HfSpawn; -1 once it is in use */
} HfSubgroup;

#define HF_SUBGROUP_NONE ((HfSubgroup){.procs = -1})

/* Returns 0, with an empty one where none can be made, which is logged, or -ENOMEM. */
int hf_subgroup_make(const HfCgroups *cgroups, uint64_t number, HfSubgroup *ret);
/* The one that a holdfast before this one, of the same pid, made. main_pid: must be in it; 0: does
 * not matter. Returns 0, with an empty one when there is none, or -ENOMEM. */
int hf_subgroup_find(const HfCgroups *cgroups, uint64_t number, int main_pid, HfSubgroup *ret);
/* Closes procs. When its main process did not come to be in it, it is given up and that is logged.
 */
void hf_subgroup_entered(HfSubgroup *subgroup, uint64_t number, int main_pid);
/* Removes it if it is empty, else a later sweep will. */
void hf_subgroup_clear(HfSubgroup *subgroup);

/* ---- what the kernel killed for memory ---- */

/* Was it the kernel's OOM killer? Its counters before and after. */

typedef struct HfOomCounter {
    char *file; /* NULL: there is none */
    uint64_t before;
} HfOomCounter;

typedef struct HfOom {
    HfOomCounter group;   /* of the generation's cgroup, else of our own */
    HfOomCounter machine; /* all of it */
} HfOom;

typedef enum HfOomVerdict {
    HF_OOM_NO,      /* not that anybody knows */
    HF_OOM_MACHINE, /* somewhere on this machine */
    HF_OOM_GROUP,   /* in the same cgroup */
} HfOomVerdict;

void hf_oom_begin(HfOom *oom, const HfCgroups *cgroups, const HfSubgroup *subgroup);
/* What happened since. */
HfOomVerdict hf_oom_look(const HfOom *oom);
void hf_oom_clear(HfOom *oom);

/* ---- the systemd unit whose main process we are; systemd.exec(5) SYSTEMD_EXEC_PID, cgroups(7)
 * ----
 */

/* Did systemd start this very process as a unit's main one? */
bool hf_own_unit_is_main(void);

/* The cgroup of that unit, see hf_cgroup_holds. Returns 0 and an owned path, or NULL when we are no
 * main process, or in no cgroup of a .service. Or negative errno. */
int hf_own_unit_cgroup(char **ret);
