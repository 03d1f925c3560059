/* SPDX-License-Identifier: MIT */
/* Processes that an earlier holdfast left in our unit's cgroup and that belong to no known
 * generation: they go on serving until there is a generation, offer their sockets to the first
 * plan, and are then ended. */
#pragma once

#include "loop/process_set.h"
#include "run/supervisor.h"

typedef struct HfOrphans {
    HfSupervisor *supervisor;
    struct HfOrphans **place; /* the owner's pointer, NULL once they have gone */
    HfProcessList found;
    HfProcessList holders; /* those that listen at an address of the plan */
    HfProcessList leaving; /* those that must leave */
    HfListener **held;     /* references: copied out of them */
    size_t n_held;
    char *unit;        /* our own cgroup, or NULL */
    HfProcessSet *set; /* NULL: not asked to leave yet */
    bool wanted;       /* a preparation continues once they have gone */
} HfOrphans;

/* Looks for them, including among the pidfds from the fd store, which it takes. If there are none
 * *place stays NULL, as it becomes once they have gone. Errors are logged, and the processes left
 * alone. */
void hf_orphans_find(HfSupervisor *supervisor, HfOrphans **place);
/* Each accepts NULL. Sockets that are not in use yet stay with their holders. Returns NULL. */
HfOrphans *hf_orphans_free(HfOrphans *orphans);

/* Copies the sockets that plan wants and held lacks from those of them that listen there to
 * orphans->held. Where that is impossible they are asked to leave at once, and hf_orphans_await
 * returns true. Returns 0, or negative errno with one line in error. */
int hf_orphans_offer(HfOrphans *orphans, const HfPlan *plan, HfListener *const *held, size_t n,
                     HfText *error);

/* A generation of plan serves now: those that run its program or hold one of its listeners (with
 * kill mode all: all of them) get its stop signal, after its drain timeout TERM, then KILL.
 * Harmless when repeated. */
void hf_orphans_begin(HfOrphans *orphans, const HfPlan *plan);

/* A preparation has failed: will it be repeated, by UNBLOCKED, when they have gone? */
bool hf_orphans_await(HfOrphans *orphans);
/* That preparation is no longer wanted. */
void hf_orphans_forget(HfOrphans *orphans);
