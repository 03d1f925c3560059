/* Which sockets stand in the way of a bind. sock_diag(7). */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* The inodes of at most maximum listening sockets of this network namespace that conflict with the
 * address: not those of a unix path that is gone. Returns how many (0: none is known), or negative
 * errno. */
int hf_conflict_find(const struct sockaddr_storage *address, unsigned length, ino_t *ret,
                     size_t maximum);
