/* SPDX-License-Identifier: MIT */
/* Take-over of a server that runs (--take-over): its listening sockets are copied into the first
 * plan, and once that serves, the old server is let finish and ended. Until then nothing about it
 * has changed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "loop/process_set.h"
#include "parts/inherit/unit.h"
#include "policy/takeover.h"
#include "run/listener.h"
#include "run/plan.h"

typedef struct HfSupervisor HfSupervisor;

typedef struct HfTakeover {
    HfSupervisor *supervisor;
    struct HfTakeover **place; /* where it is known, NULL once it has left */
    HfUnitCheck **check;       /* of the holder's unit */
    HfTakeoverLife life;
    HfProcess holder;
    HfProgram program;
    char name[64];     /* of its program, printable */
    HfListener **held; /* references */
    size_t n_held;
    HfHeldSockets sockets;  /* theirs */
    HfProcessSet *set;      /* who is to leave */
    HfProcessList master;   /* of a php-fpm, once its workers have left */
    HfText told;            /* of the set */
    sd_event_source *timer; /* settling */
} HfTakeover;

/* Copies what plan wants and the old server listens at; what nobody listens at stays to be bound.
 * pid 0: whoever holds it. *check: kept from one try to the next. Returns 0 and an object, or
 * negative errno with the reason in error: nothing was touched then. -EINPROGRESS: systemd is
 * asked, and UNBLOCKED is posted when it is to be tried again. What another holdfast holds is left
 * to hf_shared_listener_copy: supervisor->shares is set; -EALREADY: there is nothing else. *ret
 * becomes NULL once the old server has left. */
int hf_takeover_new(HfSupervisor *supervisor, const HfPlan *plan, pid_t pid, HfUnitCheck **check,
                    HfTakeover **ret, HfText *error);

/* A generation may have become active, or none may be any more. Frees it once the old server has
 * left. */
void hf_takeover_look(HfTakeover *takeover);

/* A master that is stopped still is continued, sockets that are still its own stay. NULL is fine.
 * Returns NULL. */
HfTakeover *hf_takeover_stop(HfTakeover *takeover);
/* Of one that has begun nothing, or is over. NULL is fine. Returns NULL. */
HfTakeover *hf_takeover_free(HfTakeover *takeover);

/* ---- held by another holdfast ---- */

/* Copies the socket for spec out of another holdfast, with its other side where it has one: both
 * go on with them, and switched they are here, until that one lets go of its copies. Returns 0 and
 * one reference, -ENOENT when no other holdfast is there, or negative errno. */
int hf_shared_listener_copy(const HfListenerSpec *spec, HfListener **ret);

/* ---- bound by a generation of ours ---- */

/* A socket that a generation of ours has bound by itself. php-fpm does where its configuration
 * names an address that its overlay does not know: a pool was added, and php-fpm has restarted
 * itself. */

/* Copies the socket for spec out of such a generation, rather than to fight it for the address. Its
 * path stays the generation's until hf_own_listener_commit. Returns 0 and one reference, -ENOENT
 * when none of ours listens there, or negative errno. */
int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret);

/* The plan counts from now on: what it has of generations is its own, path and all. */
void hf_own_listener_commit(const HfSupervisor *supervisor, const HfPlan *plan);
