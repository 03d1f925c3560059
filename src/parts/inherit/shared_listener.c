/* SPDX-License-Identifier: MIT */
#include "parts/inherit/shared_listener.h"

#include <errno.h>

#include "base/fd.h"

int hf_shared_listener_add_side(HfListener *listener, int fd, unsigned place,
                                const HfSocketInode *inode)
{
    unsigned side = 0;

    while (side < HF_SIDES && listener->fds[side] >= 0)
        side++;
    if (side == HF_SIDES) {
        hf_fd_close(fd);
        return -E2BIG;
    }
    int r = hf_listener_revive(listener, side, fd);
    if (r < 0)
        return r;
    listener->inodes[side] = *inode;
    listener->places[side] = place;
    if (!hf_listener_has_sides(listener))
        listener->standby = side;
    return 0;
}

static void move_side(HfListener *listener, unsigned from, unsigned to)
{
    listener->fds[to] = listener->fds[from];
    listener->inodes[to] = listener->inodes[from];
    listener->sockets[to] = listener->sockets[from];
    listener->places[to] = listener->places[from];
    listener->fds[from] = -1;
    listener->inodes[from] = (HfSocketInode){0};
    if (listener->standby == from)
        listener->standby = to;
}

void hf_shared_listener_make_room(HfListener *listener)
{
    unsigned n = 0;
    unsigned top = HF_SIDE_HELD - 1;

    HF_EACH_SIDE (listener)
        n += listener->fds[side] >= 0;
    for (unsigned side = 1; n > 2 && side < top; side++) {
        while (top > side && listener->fds[top] >= 0)
            top--;
        if (listener->fds[side] >= 0 && top > side)
            move_side(listener, side, top);
    }
}

/* Finds the side that gets connections now; returns whether we have all sides. */
static bool find_current(const HfListener *listener, unsigned *ret)
{
    bool path = hf_address_is_path(&listener->spec.address);
    HfSocketInode there = {0};
    bool found = false;
    unsigned n = 0;

    if (path && hf_socket_path_inode(listener->spec.address.name, &there) < 0)
        return false;
    HF_EACH_SIDE (listener) {
        bool current = false;
        unsigned place = 0;
        n++;
        if (path)
            current = there.inode == listener->inodes[side].inode;
        else if (hf_steer_noted(listener->fds[side], &current, &place) &&
                 place != listener->places[side])
            return false;
        if (current)
            *ret = side;
        found = found || current;
    }
    if (!found && !hf_listener_has_sides(listener)) {
        *ret = listener->side;
        found = !path;
    }
    return found && (path || hf_steer_count(listener->fds[listener->side], n) == n);
}

bool hf_shared_listener_retake(HfListener *listener)
{
    unsigned current = listener->side;

    if (!find_current(listener, &current))
        return false;
    if (current != listener->side)
        listener->standby = listener->side;
    listener->side = current;
    listener->taken = true;
    hf_listener_claim(listener);
    return true;
}
