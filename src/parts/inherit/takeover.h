/* SPDX-License-Identifier: MIT */
/* Take-over of a running server (--take-over): its listening sockets are copied into the first
 * plan; once a generation of that serves, the old server is drained and ended. Until then it is not
 * touched. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "loop/process_set.h"
#include "parts/inherit/takeover_life.h"
#include "parts/inherit/unit.h"
#include "run/listener.h"
#include "run/plan.h"

typedef struct HfSupervisor HfSupervisor;

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

/* Adds the other sides of one for a unix path that was taken (hf_listener_take), each copied out of
 * the oldest of its holders if that matches. Returns 0 or negative errno. */
int hf_takeover_add_hidden(HfListener *listener, HfProcessMatch match, const void *wanted);

/* ---- bound by a generation of ours ---- */

/* A socket that a generation of ours has bound by itself. php-fpm does so for an address that its
 * overlay does not contain: a pool was added, and php-fpm has restarted itself. */

/* Copies the socket for spec out of such a generation instead of competing for its address. The
 * path stays the generation's until hf_own_listener_commit. Returns 0 and one reference, -ENOENT
 * when none of ours listens there, or negative errno. */
int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret);

/* The plan counts from now on: its sockets from generations are its own, including their paths. */
void hf_own_listener_commit(const HfSupervisor *supervisor, const HfPlan *plan);
