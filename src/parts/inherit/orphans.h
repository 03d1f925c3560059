/* SPDX-License-Identifier: MIT */
/* Processes that a holdfast before this one left in our unit's cgroup and that belong to no
 * generation that is known: they serve on until there is somebody else, lend their sockets to the
 * first plan, and are ended then. */
#pragma once

#include "loop/process_set.h"
#include "run/supervisor.h"

typedef struct HfOrphans {
    HfSupervisor *supervisor;
    struct HfOrphans **place; /* where it is known, NULL once they have gone */
    HfProcessList found;
    HfProcessList holders; /* those that were found to listen where the plan wants to */
    HfProcessList leaving; /* those that are to */
    HfListener **held;     /* references: copied out of them */
    size_t n_held;
    char *unit;        /* our own cgroup, or NULL */
    HfProcessSet *set; /* NULL: they are not asked yet */
    bool wanted;       /* a preparation goes on once they have gone */
} HfOrphans;

/* Looks for them, also among the pidfds that the store gave back, and takes those. None:
 * *place stays NULL, as it is once they have gone. What goes wrong is logged, and they are left. */
void hf_orphans_find(HfSupervisor *supervisor, HfOrphans **place);
/* Each takes NULL. Sockets that are not in use yet stay with their holders. Returns NULL. */
HfOrphans *hf_orphans_free(HfOrphans *orphans);

/* Copies what plan wants, is not among held, and one of them listens at, to orphans->held. Where
 * that is not possible they are asked to leave at once, and hf_orphans_await has a reason. Returns
 * 0, or negative errno with one line in error. */
int hf_orphans_lend(HfOrphans *orphans, const HfPlan *plan, HfListener *const *held, size_t n,
                    HfText *error);

/* Has plan serve in their place: those that run its program or hold one of its listeners, with kill
 * mode all every one, are sent its stop signal, after its drain timeout TERM, then KILL. Harmless
 * when repeated. */
void hf_orphans_begin(HfOrphans *orphans, const HfPlan *plan);

/* A preparation has failed: is it to be made once more, by UNBLOCKED, when they have gone? */
bool hf_orphans_await(HfOrphans *orphans);
/* It is not wanted any more. */
void hf_orphans_forget(HfOrphans *orphans);
