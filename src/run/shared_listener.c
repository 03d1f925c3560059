/* SPDX-License-Identifier: MIT */
#include "run/shared_listener.h"

#include <errno.h>

#include "base/fd.h"

int hf_shared_listener_add_side(HfListener *held, int fd, unsigned place,
                                const HfSocketInode *inode)
{
    unsigned side = 0;

    while (side < HF_SIDES && held->fds[side] >= 0)
        side++;
    if (side == HF_SIDES) {
        hf_fd_close(fd);
        return -E2BIG;
    }
    int r = hf_listener_revive(held, side, fd);
    if (r < 0)
        return r;
    held->inodes[side] = *inode;
    held->places[side] = place;
    if (!hf_listener_has_sides(held))
        held->standby = side;
    return 0;
}

void hf_shared_listener_claim(HfListener *held)
{
    held->claimed = true;
    HF_EACH_SIDE (held)
        hf_steer_claim(held->fds[side], true);
}

/* Finds the side that gets connections now; returns whether we have all sides. */
static bool find_current(const HfListener *held, unsigned *ret)
{
    bool path = hf_address_is_path(&held->spec.address);
    HfSocketInode there = {0};
    bool found = false;
    unsigned n = 0;

    if (path && hf_socket_path_inode(held->spec.address.name, &there) < 0)
        return false;
    HF_EACH_SIDE (held) {
        bool current = false;
        unsigned place = 0;
        n++;
        if (path)
            current = there.inode == held->inodes[side].inode;
        else if (hf_steer_noted(held->fds[side], &current, &place) && place != held->places[side])
            return false;
        if (current)
            *ret = side;
        found = found || current;
    }
    if (!found && !hf_listener_has_sides(held)) {
        *ret = held->side;
        found = !path;
    }
    return found && (path || hf_steer_count(held->fds[held->side], n) == n);
}

bool hf_shared_listener_retake(HfListener *held)
{
    unsigned current = held->side;

    if (!find_current(held, &current))
        return false;
    if (current != held->side)
        held->standby = held->side;
    held->side = current;
    held->taken = true;
    hf_shared_listener_claim(held);
    return true;
}

void hf_shared_listener_align(HfListener *held, unsigned side)
{
    if (held->taken && hf_listener_has_sides(held) && held->side != side)
        hf_listener_renumber(held, side);
}
