/* SPDX-License-Identifier: MIT */
/* Listeners taken over from another holdfast, which still has the same sockets. */
#pragma once

#include "run/listener.h"

/* Adds a side without connections to a listener from hf_listener_take; place: see HfListener;
 * inode: of a path's file. Consumes fd on failure as well. Returns 0 or negative errno. */
int hf_shared_listener_add_side(HfListener *listener, int fd, unsigned place,
                                const HfSocketInode *inode);
/* Moves those sides out of the way of our next generations: of more than two, another one than the
 * next may be served by the other holdfast, as while it holds connections. */
void hf_shared_listener_make_room(HfListener *listener);
/* Takes a listener back that another holdfast has taken, in its present state. Returns whether we
 * have all of its sides. */
bool hf_shared_listener_retake(HfListener *listener);
