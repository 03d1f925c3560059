/* SPDX-License-Identifier: MIT */
/* The listeners that we hold: shared by the plans that use them, closed with the last. Each has
 * several sockets, its sides, or only one, which then stands for every side. No side is closed
 * before the listener: that would reset the connections in its queue. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"
#include "kernel/members.h"
#include "kernel/sock_diag.h"
#include "kernel/socket.h"
#include "kernel/steer.h"
#include "policy/queue_alarm.h"

/* While new connections are held they wait there, and no generation is ever started on it. */
#define HF_SIDE_HELD (HF_SIDES - 1)

typedef struct HfListener {
    unsigned references;
    int fds[HF_SIDES];   /* owned; their blocking mode is never changed; -1: no such side yet */
    HfListenerSpec spec; /* as requested; name is always set */
    HfAddress bound;     /* its numeric address */
    HfSocketInode inodes[HF_SIDES]; /* of a unix path's files */
    uint64_t sockets[HF_SIDES];     /* the sockets' own inodes, which identify them; 0: unknown */
    unsigned places[HF_SIDES];      /* how many sides there were when each was bound */
    unsigned side;                  /* the current one, which gets new connections */
    unsigned standby;               /* reached by holdfast alone; equals side if it has one side */
    const char *one_side;           /* why it can only have one; NULL: no reason known */
    HfQueueAlarm alarms[HF_SIDES];  /* for their queues */
    bool activated;                 /* from systemd, which owns its path */
    bool stays;                     /* its path must stay for other users of it */
    uint32_t highest;               /* deepest queue ever seen */
    bool taken;                     /* copied out of another server, which still owns its path */
    bool claimed;                   /* copied out of another holdfast, which leaves it to us */
    uint64_t own;   /* our generation that bound it and may unlink its path; 0: none */
    unsigned index; /* in the snapshot being written */
    char *label;    /* spec's address, for people */
} HfListener;

/* Resolves, binds and listens, with a backlog of somaxconn if raised. Returns 0 and one reference,
 * or negative errno with one line in error that says what to do. */
int hf_listener_bind(const HfListenerSpec *spec, bool raised, HfListener **ret, HfText *error);

/* Accepts a listening socket that systemd passed. Consumes fd once it is known to listen. Returns 0
 * or negative errno. */
int hf_listener_receive(int fd, const char *name, HfListener **ret);

/* Accepts a listening socket copied out of another server. Consumes fd on failure as well. Its path
 * is not unlinked while taken is set. Returns 0 or negative errno. */
int hf_listener_take(int fd, const HfListenerSpec *spec, HfListener **ret);

/* Of one taken out of another holdfast: from now on that neither switches nor ends it; lasts until
 * hf_listener_unref if taken is still set then. */
void hf_listener_claim(HfListener *listener);

/* Has another holdfast taken it out of this one? */
static inline bool hf_listener_is_anothers(const HfListener *listener)
{
    return listener->fds[listener->side] >= 0 &&
           hf_steer_is_anothers(listener->fds[listener->side]);
}

/* Makes a listener without a socket, for a snapshot to fill in: spec, inodes, sockets, places,
 * activated, taken, side and standby. NULL without memory. */
HfListener *hf_listener_new(void);
/* Gives it the socket of a side. Consumes fd on failure as well. Returns 0 or negative errno. */
int hf_listener_revive(HfListener *listener, unsigned side, int fd);

/* ---- sides ---- */

/* Gives the current side this number, and exchanges it with the side that had it. */
void hf_listener_renumber(HfListener *listener, unsigned side);
/* Binds a second socket unless it has one. The current socket becomes side. If it cannot have two,
 * one_side explains why. */
void hf_listener_pair(HfListener *listener, unsigned side);
/* Iterates over the sides that have a socket, in the variable side. */
#define HF_EACH_SIDE(listener)                                                                     \
    for (unsigned side = 0; side < HF_SIDES; side++)                                               \
        if ((listener)->fds[side] >= 0)
static inline bool hf_listener_has_sides(const HfListener *listener)
{
    return listener->standby != listener->side;
}
/* The socket of a side, or the current one if that side has none. Borrowed. */
static inline int hf_listener_fd(const HfListener *listener, unsigned side)
{
    return listener->fds[side] >= 0 ? listener->fds[side] : listener->fds[listener->side];
}
/* Makes side, on which there is no generation, the standby side; binds it if it has no socket yet
 * or its path was removed. Does nothing for a listener with one side. Returns 0, or negative errno
 * with one line in error. */
int hf_listener_open_side(HfListener *listener, unsigned side, HfText *error);
/* Can it be switched to side, as far as can be determined? Its path may have been removed. */
bool hf_listener_can_switch(const HfListener *listener, unsigned side);
/* Sends new connections to side from now on; the one that had them becomes the standby side. Does
 * nothing for a listener with one side. Returns 0 or negative errno. */
int hf_listener_steer(HfListener *listener, unsigned side);
/* Makes new connections wait from now on, on HF_SIDE_HELD, which is bound if necessary; standby is
 * the side that holdfast reaches itself. Returns 0, or negative errno with one line in error. */
int hf_listener_hold(HfListener *listener, unsigned standby, HfText *error);
/* Sends new connections to side again; those that wait stay in their queue. Returns 0 or negative
 * errno. */
int hf_listener_let_through(HfListener *listener, unsigned side, unsigned standby);
static inline bool hf_listener_is_held(const HfListener *listener)
{
    return listener->side == HF_SIDE_HELD;
}
/* How to connect to side, the current or the standby one, at present. Returns 0 or negative errno.
 */
int hf_listener_reach(const HfListener *listener, unsigned side, HfReach *ret);
/* Why a listener at address, not bound yet, will have only one side; NULL: no reason known. */
const char *hf_listener_one_side(const HfAddress *address);

HfListener *hf_listener_ref(HfListener *listener);
/* The last reference unlinks the path bound here and closes. Returns NULL. */
HfListener *hf_listener_unref(HfListener *listener);

/* Sets the backlog to somaxconn (raised) or to the value in spec. */
void hf_listener_raise_backlog(HfListener *listener, bool raised);

/* Adapts a held listener to a new spec: name, backlog and, for a path bound here, permissions;
 * unset values stay. Returns 0, or negative errno with one line in error. */
int hf_listener_respecify(HfListener *listener, const HfListenerSpec *spec, bool raised,
                          HfText *error);

/* The present accept queue of a side. Returns as hf_queue_read, or -ENOENT: no such side. */
int hf_listener_queue(HfListener *listener, unsigned side, HfQueue *ret);

/* Is it a TCP address, or a path bound here? */
bool hf_listener_can_be_released(const HfListener *listener);
/* Frees its address although other processes have copies of its sockets: none of them listens any
 * more, and queued connections are reset; a path is only unlinked, and its queue stays. Returns 0
 * or negative errno. */
int hf_listener_release(HfListener *listener);

/* Can nobody connect any more, because the socket does not listen, or because its path was removed
 * or replaced? */
bool hf_listener_is_lost(const HfListener *listener);
