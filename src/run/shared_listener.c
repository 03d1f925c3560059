/* SPDX-License-Identifier: MIT */
#include "run/shared_listener.h"

#include <errno.h>

#include "base/fd.h"

int hf_shared_listener_add_side(HfListener *held, int fd, bool first)
{
    HF_CLEANUP_FD int owned = fd;
    HfSocketInode inode = {0};
    char hidden[HF_ADDRESS_TEXT_MAX];

    int r = hf_address_is_path(&held->spec.address) ? hf_hidden_path(&held->spec.address, hidden)
                                                    : -ENOENT;
    r = r < 0 ? 0 : hf_socket_path_inode(hidden, &inode);
    if (r >= 0)
        r = hf_listener_revive(held, 1, hf_fd_steal(&owned));
    if (r < 0)
        return r;
    held->inodes[1] = inode;
    held->first = first;
    return 0;
}

void hf_shared_listener_claim(HfListener *held)
{
    held->claimed = true;
    for (unsigned side = 0; side < HF_SIDES && held->fds[side] >= 0; side++)
        hf_steer_claim(held->fds[side], true);
}

bool hf_shared_listener_retake(HfListener *held)
{
    bool path = hf_address_is_path(&held->spec.address);
    HfSocketInode there = {0};
    bool current;
    bool first;

    if (!path && hf_steer_noted(held->fds[0], &current, &first)) {
        if (!hf_listener_has_sides(held))
            return false;
        held->side = !current;
        held->first = !first;
    } else if (path) {
        if (hf_socket_path_inode(held->spec.address.name, &there) < 0 ||
            (there.inode != held->inodes[0].inode && there.inode != held->inodes[1].inode))
            return false;
        held->side = there.inode != held->inodes[0].inode;
    }
    held->taken = true;
    hf_shared_listener_claim(held);
    return true;
}

void hf_shared_listener_align(HfListener *held, unsigned side)
{
    if (!held->claimed || !held->taken || !hf_listener_has_sides(held) || held->side == side)
        return;
    hf_listener_swap_sides(held);
    held->side = side;
    held->first = !held->first;
}
