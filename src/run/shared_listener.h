/* SPDX-License-Identifier: MIT */
/* Listeners that were taken over from another holdfast, which has the same sockets still. */
#pragma once

#include "run/listener.h"

/* Gives one that was taken (hf_listener_take) another side, which gets no connections; place as in
 * HfListener; inode of a path's file. Consumes fd also on failure. Returns 0 or negative errno. */
int hf_shared_listener_add_side(HfListener *held, int fd, unsigned place,
                                const HfSocketInode *inode);
/* From now on the other holdfast neither switches nor ends it; until hf_listener_unref, if taken is
 * still set then. */
void hf_shared_listener_claim(HfListener *held);
/* Takes one back that another holdfast has taken, as things are there. Returns whether all of its
 * sides are here. */
bool hf_shared_listener_retake(HfListener *held);
/* What was taken with several sides has side as its current one from now on, as all others here. */
void hf_shared_listener_align(HfListener *held, unsigned side);
