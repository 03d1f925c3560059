/* SPDX-License-Identifier: MIT */
/* Listeners that are held: shared by the plans that use them, closed with the last. One has two
 * sockets or more, its sides, or one, which then is every side. None is closed before the listener:
 * that would reset what waits in its queue. */
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

typedef struct HfListener {
    unsigned references;
    int fds[HF_SIDES];   /* owned; blocking state never touched; -1: there is no such side yet */
    HfListenerSpec spec; /* as asked for; name always set */
    HfAddress bound;     /* where it listens, numeric */
    HfSocketInode inodes[HF_SIDES]; /* of a unix path's files */
    uint64_t sockets[HF_SIDES];     /* their inodes, which tell them from any other; 0: not known */
    unsigned places[HF_SIDES];      /* how many there were when each was bound */
    unsigned side;                  /* the current one: new connections go there */
    unsigned standby;               /* reached by holdfast alone; the same: it has one side */
    const char *one_side;           /* why it cannot have two; NULL: nothing is known against it */
    HfQueueAlarm alarms[HF_SIDES];  /* of their queues */
    bool received;                  /* from systemd: its path is not ours to unlink */
    bool stays;                     /* its path, too: others go on with it */
    uint32_t highest;               /* depth of a queue that was ever seen */
    bool taken;                     /* copied out of another server, whose path it is still */
    bool claimed;                   /* copied out of another holdfast, which leaves it to us */
    uint64_t own;   /* generation of ours that bound it and may remove its path; 0: none */
    unsigned index; /* in the snapshot that is being made */
    char *label;    /* spec's address, for people */
} HfListener;

/* Resolves, binds and listens, with the backlog raised to somaxconn when raised. Returns 0 and one
 * reference, or negative errno with one line in error that says what to do. */
int hf_listener_bind(const HfListenerSpec *spec, bool raised, HfListener **ret, HfText *error);

/* Would hf_listener_bind succeed, as far as can be told without binding? Returns 0, or negative
 * errno with one line in error. */
int hf_listener_probe(const HfListenerSpec *spec, HfText *error);

/* Takes a listening socket that systemd passed. Consumes fd once it is known to listen. Returns 0
 * or negative errno. */
int hf_listener_receive(int fd, const char *name, HfListener **ret);

/* Takes a listening socket that was copied out of another server. Consumes fd also on failure.
 * Until taken is reset its path is not unlinked. Returns 0 or negative errno. */
int hf_listener_take(int fd, const HfListenerSpec *spec, HfListener **ret);

/* Another holdfast has taken it out of this one. */
static inline bool hf_listener_is_anothers(const HfListener *held)
{
    return held->fds[held->side] >= 0 && hf_steer_is_anothers(held->fds[held->side]);
}

/* One without a socket, to be described: spec, inodes, sockets, places, received, taken, side and
 * standby as another holdfast had them. NULL without memory. */
HfListener *hf_listener_new(void);
/* Gives it the socket of a side. Consumes fd also on failure. Returns 0 or
 * negative errno. */
int hf_listener_revive(HfListener *held, unsigned side, int fd);

/* ---- sides ---- */

/* The current side is this one from now on, and what this one was is that. */
void hf_listener_renumber(HfListener *held, unsigned side);
/* Binds the second socket of one that has none yet. What serves now is on side, and stays there.
 * Where there can be none one_side says why, for people. */
void hf_listener_pair(HfListener *held, unsigned side);
/* Of those that have a socket, the variable side. */
#define HF_EACH_SIDE(held)                                                                         \
    for (unsigned side = 0; side < HF_SIDES; side++)                                               \
        if ((held)->fds[side] >= 0)
static inline bool hf_listener_has_sides(const HfListener *held)
{
    return held->standby != held->side;
}
/* The socket of a side; of one that has none, that of the current one. Borrowed. */
static inline int hf_listener_fd(const HfListener *held, unsigned side)
{
    return held->fds[side] >= 0 ? held->fds[side] : held->fds[held->side];
}
/* Makes side, where nobody is, the standby side, and binds it where it has no socket yet or its
 * path was removed. With one side only nothing is done. Returns 0, or negative errno with one line
 * in error. */
int hf_listener_open_side(HfListener *held, unsigned side, HfText *error);
/* Can it be switched to side, as far as can be told? Its path may have been removed. */
bool hf_listener_can_switch(const HfListener *held, unsigned side);
/* From the return on new connections go to side, and the one that got them is the standby side.
 * With one side only nothing is done. Returns 0 or negative errno. */
int hf_listener_steer(HfListener *held, unsigned side);
/* How to connect to side, the current or the standby one, as things are now. Returns 0 or negative
 * errno. */
int hf_listener_reach(const HfListener *held, unsigned side, HfReach *ret);
/* Why one at address, not bound yet, will have one side only; NULL: nothing is known against it. */
const char *hf_listener_one_side(const HfAddress *address);

HfListener *hf_listener_ref(HfListener *held);
/* The last one unlinks the path that was bound here and closes. Returns NULL. */
HfListener *hf_listener_unref(HfListener *held);

/* To somaxconn, or back to what spec says. */
void hf_listener_raise_backlog(HfListener *held, bool raised);

/* The same socket from now on serves spec: takes over its name, its backlog and, for a path bound
 * here, its rights; what they leave unset stays. Returns 0, or negative errno with one line in
 * error. */
int hf_listener_respecify(HfListener *held, const HfListenerSpec *spec, bool raised, HfText *error);

/* The accept queue of a side now. Returns as hf_queue_read, or -ENOENT: there is no such side. */
int hf_listener_queue(HfListener *held, unsigned side, HfQueue *ret);
/* Who waits in a queue of any side. */
uint32_t hf_listener_waiting(HfListener *held);

/* A TCP address, or a path that was bound here. */
bool hf_listener_can_be_released(const HfListener *held);
/* Makes its address free for others, though copies of the sockets are open elsewhere: all of them
 * stop listening, and what waits in the queue is reset; a path is only unlinked, and its queue
 * stays. Returns 0 or negative errno. */
int hf_listener_release(HfListener *held);

/* Does the socket listen no more? Has the path that was bound here been removed, or does another
 * socket or file stand there? Nobody can connect then. */
bool hf_listener_is_lost(const HfListener *held);

/* An array of references. */
void hf_listener_array_clear(HfListener ***list, size_t *n);
