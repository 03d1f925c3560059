/* Listeners that are held: shared by the plans that use them, closed with the last. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"
#include "kernel/sock_diag.h"
#include "kernel/socket.h"
#include "policy/queue_alarm.h"

typedef struct HfListener {
    unsigned references;
    int fd;              /* owned; blocking state never touched */
    HfListenerSpec spec; /* as asked for; name always set */
    HfAddress bound;     /* where it listens, numeric */
    HfSocketInode inode;
    HfQueueAlarm alarm; /* of its queue */
    uint64_t socket;    /* its inode, which tells the socket from any other; 0: not known */
    bool received;      /* from systemd: its path is not ours to unlink */
    bool stays;         /* its path, too: others go on with it */
    uint32_t highest;   /* depth of its queue that was ever seen */
    bool taken;         /* copied out of another server, whose path it is still */
    uint64_t own;       /* generation of ours that bound it and may remove its path; 0: none */
    unsigned index;     /* in the snapshot that is being made */
    char *label;        /* spec's address, for people */
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

/* One without a socket, to be described: spec, inode, received and taken as another holdfast had
 * them. NULL without memory. */
HfListener *hf_listener_new(void);
/* Gives it its socket. Consumes fd also on failure. Returns 0 or negative errno. */
int hf_listener_revive(HfListener *held, int fd);

HfListener *hf_listener_ref(HfListener *held);
/* The last one unlinks the path that was bound here and closes. Returns NULL. */
HfListener *hf_listener_unref(HfListener *held);

/* The listener among n that spec asks for: same address, or received under spec's name. NULL: none.
 * Borrowed. */
HfListener *hf_listener_find(HfListener *const *list, size_t n, const HfListenerSpec *spec);

/* To somaxconn, or back to what spec says. */
void hf_listener_raise_backlog(HfListener *held, bool raised);

/* The same socket from now on serves spec: takes over its name, its backlog and, for a path bound
 * here, its rights; what they leave unset stays. Returns 0, or negative errno with one line in
 * error. */
int hf_listener_respecify(HfListener *held, const HfListenerSpec *spec, bool raised, HfText *error);

/* New connections go to that side, 0 or 1, of one that has two. Returns 0 or negative errno. */
int hf_listener_steer(HfListener *held, unsigned side);

/* Its accept queue now. Returns as hf_queue_read. */
int hf_listener_queue(HfListener *held, HfQueue *ret);

/* A TCP address, or a path that was bound here. */
bool hf_listener_can_be_released(const HfListener *held);
/* Makes its address free for others, though copies of the socket are open elsewhere: all of them
 * stop listening, and what waits in the queue is reset; a path is only unlinked, and its queue
 * stays. Returns 0 or negative errno. */
int hf_listener_release(HfListener *held);

/* Does the socket listen no more? Has the path that was bound here been removed, or does another
 * socket or file stand there? Nobody can connect then. */
bool hf_listener_is_lost(const HfListener *held);

/* An array of references. */
void hf_listener_array_clear(HfListener ***list, size_t *n);
