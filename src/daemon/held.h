/* Listeners that are held: shared by the plans that use them, closed with the last. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "core/alarm.h"
#include "core/settings.h"
#include "sys/listener.h"
#include "sys/queue.h"

typedef struct HfHeld {
    unsigned references;
    int fd;              /* owned; blocking state never touched */
    HfListenerSpec spec; /* as asked for; name always set */
    HfAddress bound;     /* where it listens, numeric */
    HfListenerInode inode;
    HfAlarm alarm;    /* of its queue */
    bool received;    /* from systemd: its path is not ours to unlink */
    uint32_t highest; /* depth of its queue that was ever seen */
    bool taken;       /* copied out of another server, whose path it is still */
    unsigned index;   /* in the snapshot that is being made */
    bool stored;      /* in systemd's fd store */
    char *label;      /* spec's address, for people */
} HfHeld;

/* Resolves, binds and listens, with the backlog raised to somaxconn when raised. Returns 0 and one
 * reference, or negative errno with one line in error that says what to do. */
int hf_held_bind(const HfListenerSpec *spec, bool raised, HfHeld **ret, HfText *error);

/* Would hf_held_bind succeed, as far as can be told without binding? Returns 0, or negative errno
 * with one line in error. */
int hf_held_probe(const HfListenerSpec *spec, HfText *error);

/* Takes a listening socket that systemd passed. Consumes fd once it is known to listen. Returns 0
 * or negative errno. */
int hf_held_receive(int fd, const char *name, HfHeld **ret);

/* Takes a listening socket that was copied out of another server. Consumes fd also on failure.
 * Until taken is reset its path is not unlinked. Returns 0 or negative errno. */
int hf_held_take(int fd, const HfListenerSpec *spec, HfHeld **ret);
/* The listener that another holdfast held: spec as it had it, inode of the path that it bound.
 * Consumes fd also on failure. Returns 0 and one reference, or negative errno. */
int hf_held_restore(int fd, const HfListenerSpec *spec, const HfListenerInode *inode, bool received,
                    HfHeld **ret);

/* What tells the socket from any other: its inode. 0 when it can not be told. */
ino_t hf_held_socket(const HfHeld *held);

HfHeld *hf_held_ref(HfHeld *held);
/* The last one unlinks the path that was bound here and closes. Returns NULL. */
HfHeld *hf_held_unref(HfHeld *held);

/* The listener among n that spec asks for: same address, or received under spec's name. NULL: none.
 * Borrowed. */
HfHeld *hf_held_find(HfHeld *const *list, size_t n, const HfListenerSpec *spec);

/* To somaxconn, or back to what spec says. */
void hf_held_raise_backlog(HfHeld *held, bool raised);

/* The same socket from now on serves spec: takes over its name, its backlog and, for a path bound
 * here, its rights; what they leave unset stays. Returns 0, or negative errno with one line in
 * error. */
int hf_held_respecify(HfHeld *held, const HfListenerSpec *spec, bool raised, HfText *error);

/* Its accept queue now. Returns as hf_queue_read. */
int hf_held_queue(HfHeld *held, HfQueue *ret);

/* Has the path that was bound here been removed? Nobody can connect then. */
bool hf_held_is_lost(const HfHeld *held);

/* An array of references. */
void hf_held_array_clear(HfHeld ***list, size_t *n);
