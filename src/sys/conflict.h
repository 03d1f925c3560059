/* Which sockets stand in the way of a bind. sock_diag(7). */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* The inodes of at most maximum sockets of this network namespace that hold an address which
 * conflicts with this one: those that listen, or else those that are bound or connected. Returns
 * how many (0: none is known), or negative errno. */
int hf_conflict_find(const struct sockaddr_storage *address, unsigned length, ino_t *ret,
                     size_t maximum);
