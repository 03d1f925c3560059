/* SPDX-License-Identifier: MIT */
/* Shared by the files of this part. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "loop/process_set.h"
#include "parts/inherit/takeover_life.h"
#include "run/listener.h"
#include "run/plan.h"
#include "run/supervisor.h"

/* ---- units ---- */

/* systemd units other than our own: one whose server is being taken over, and one that was stopped
 * while no holdfast ran in it. systemd.service(5). */

typedef struct HfUnitCheck HfUnitCheck;

/* Would systemd interfere when pid, a unit's main process, ends: restart it (Restart=), run
 * commands that remove its socket (ExecStopPost=), or remove the socket's directory
 * (RuntimeDirectory=)? Returns 0 when not, or when pid is in no unit but our own; HF_UNIT_ASKED:
 * systemd is being asked, known(userdata) is called from the loop when there is an answer, and then
 * this must be called again; or negative errno, also when systemd does not answer, with the unit's
 * name and the commands that prevent this in error. *check: starts as NULL, kept by the caller. */
enum {
    HF_UNIT_ASKED = 1,
};
int hf_unit_check(HfUnitCheck **check, sd_event *loop, pid_t pid, void (*known)(void *userdata),
                  void *userdata, HfText *error);
/* Accepts and returns NULL. */
HfUnitCheck *hf_unit_check_free(HfUnitCheck *check);

/* Waits until systemd has finished with unit, then ends every process left in it: QUIT if php-fpm
 * is among them, else TERM, after drain_timeout (usec) TERM, then KILL; SIGTERM to us moves on to
 * TERM at once. If systemd starts the unit again nothing is touched. Errors are logged. Returns 0
 * or negative errno. */
int hf_unit_cleanup(const char *unit, uint64_t drain_timeout);

/* ---- the take-over ---- */

/* Take-over of a running server (--take-over): its listening sockets are copied into the first
 * plan; once a generation of that serves, the old server is drained and ended. Until then it is not
 * touched. */

typedef struct HfTakeover {
    HfSupervisor *supervisor;
    struct HfTakeover **place; /* the owner's pointer, NULL once it has left */
    HfUnitCheck **check;       /* check of the holder's unit */
    HfTakeoverLife life;
    HfProcess holder;
    HfProgram program;
    char name[64];     /* of its program, printable */
    HfListener **held; /* references */
    size_t n_held;
    HfHeldSockets sockets;  /* those sockets */
    HfProcessSet *set;      /* the processes that must leave */
    HfProcessList master;   /* for a php-fpm, its master once the workers have left */
    HfText told;            /* log text of the set */
    sd_event_source *timer; /* while settling */
} HfTakeover;

/* Copies the sockets that plan wants from the server that listens there; addresses without a
 * listener are left to be bound. pid 0: any holder. *check: kept from one attempt to the next.
 * Returns 0 and an object, or negative errno with the reason in error and nothing touched.
 * -EINPROGRESS: systemd is being asked, and UNBLOCKED is posted when it is time to try again.
 * Sockets of another holdfast are left to hf_shared_listener_copy, with supervisor->shares set;
 * -EALREADY: there are no others. *ret becomes NULL once the old server has left. */
int hf_takeover_new(HfSupervisor *supervisor, const HfPlan *plan, pid_t pid, HfUnitCheck **check,
                    HfTakeover **ret, HfText *error);

/* Checks whether a generation has become active, or none is any more. Frees the object once the old
 * server has left. */
void hf_takeover_look(HfTakeover *takeover);

/* Continues a master that is still stopped; sockets that still belong to it stay. Accepts and
 * returns NULL. */
HfTakeover *hf_takeover_stop(HfTakeover *takeover);
/* For one that has begun nothing, or is over. Accepts and returns NULL. */
HfTakeover *hf_takeover_free(HfTakeover *takeover);

/* ---- held by another holdfast ---- */

/* Copies the socket for spec, with its other side if it has one, out of another holdfast. Both use
 * them from then on, and only we switch, until the other lets go of its copies. Returns 0 and one
 * reference, -ENOENT when no other holdfast listens there, or negative errno. */
int hf_shared_listener_copy(const HfListenerSpec *spec, HfListener **ret);
/* Once a generation serves with them they are ours, including their paths: until then a failure
 * leaves everything to the other. */
void hf_shared_listener_settle(const HfSupervisor *supervisor);

/* Adds the other sides of one for a unix path that was taken (hf_listener_take), each copied out of
 * the oldest of its holders if that matches. Returns 0 or negative errno. */
int hf_takeover_add_hidden(HfListener *listener, HfProcessMatch match, const void *wanted);

/* ---- bound by one of our generations ---- */

/* A socket that one of our generations has bound by itself. php-fpm does so for an address that its
 * overlay does not contain: a pool was added, and php-fpm has restarted itself. */

/* Copies the socket for spec out of such a generation instead of competing for its address. The
 * path stays the generation's until hf_own_listener_commit. Returns 0 and one reference, -ENOENT
 * when none of ours listens there, or negative errno. */
int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret);

/* The plan counts from now on: its sockets from generations are its own, including their paths. */
void hf_own_listener_commit(const HfSupervisor *supervisor, const HfPlan *plan);

/* ---- orphans ---- */

/* Processes that an earlier holdfast left in our unit's cgroup and that belong to no known
 * generation: they go on serving until there is a generation, offer their sockets to the first
 * plan, and are then ended. */

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
