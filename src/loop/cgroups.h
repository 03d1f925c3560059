/* SPDX-License-Identifier: MIT */
/* The control groups of an instance: its own and, if that was delegated to it, a sub-cgroup for
 * each generation. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct HfCgroups {
    char *prefix;    /* of the names of its sub-cgroups */
    char *directory; /* of our own v2 cgroup, NULL if not delegated */
    char *path;      /* the same as /proc/PID/cgroup shows it, "" for the root */
    char *oom_file;  /* counts the OOM kills in our own cgroup, NULL: unknown */
} HfCgroups;

/* name: the instance's. use: create sub-cgroups where allowed. Anything that cannot be examined
 * counts as missing. Returns 0 or -ENOMEM. */
int hf_cgroups_find(const char *name, bool use, HfCgroups *ret);
/* At the end: moves processes that go on up into our own cgroup, removes the sub-cgroups, and
 * frees. */
void hf_cgroups_release(HfCgroups *cgroups);
/* Removes the empty sub-cgroups. */
void hf_cgroups_sweep(const HfCgroups *cgroups);

/* The sub-cgroup of a generation; empty if it has none. */
typedef struct HfSubgroup {
    char *directory;
    char *path; /* as /proc/PID/cgroup shows it */
    int procs;  /* for HfSpawn; -1 once used */
} HfSubgroup;

#define HF_SUBGROUP_NONE ((HfSubgroup){.procs = -1})

/* Returns 0, with an empty one (logged) when none can be created, or -ENOMEM. */
int hf_subgroup_make(const HfCgroups *cgroups, uint64_t number, HfSubgroup *ret);
/* Finds the one that an earlier holdfast with the same pid created. main_pid: must be in it; 0:
 * any. Returns 0, with an empty one when there is none, or -ENOMEM. */
int hf_subgroup_find(const HfCgroups *cgroups, uint64_t number, int main_pid, HfSubgroup *ret);
/* Closes procs. If the main process did not get into the sub-cgroup, gives it up and logs that. */
void hf_subgroup_entered(HfSubgroup *subgroup, uint64_t number, int main_pid);
/* Removes it if it is empty; otherwise a later sweep does. */
void hf_subgroup_clear(HfSubgroup *subgroup);

/* ---- OOM kills ---- */

/* Did the kernel's OOM killer act? Compares its counters with those at the start. */

typedef struct HfOomCounter {
    char *file; /* NULL: unknown */
    uint64_t before;
} HfOomCounter;

typedef struct HfOom {
    HfOomCounter group;   /* of the generation's cgroup, or else our own */
    HfOomCounter machine; /* of the whole machine */
} HfOom;

typedef enum HfOomVerdict {
    HF_OOM_NO,      /* as far as we know */
    HF_OOM_MACHINE, /* somewhere on this machine */
    HF_OOM_GROUP,   /* in the same cgroup */
} HfOomVerdict;

void hf_oom_begin(HfOom *oom, const HfCgroups *cgroups, const HfSubgroup *subgroup);
/* The change since the start. */
HfOomVerdict hf_oom_look(const HfOom *oom);
void hf_oom_clear(HfOom *oom);

/* ---- our own systemd unit; systemd.exec(5) SYSTEMD_EXEC_PID, cgroups(7) ---- */

/* Are we the main process of a unit? */
bool hf_own_unit_is_main(void);

/* The cgroup of that unit, see hf_cgroup_holds. Returns 0 and an owned path, or NULL unless we are
 * a main process in the cgroup of a .service; or negative errno. */
int hf_own_unit_cgroup(char **ret);
