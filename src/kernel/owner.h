/* SPDX-License-Identifier: MIT */
/* Who holds an address. sock_diag(7), proc(5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

typedef struct HfOwner {
    pid_t pid;
    char program[64]; /* base name of its executable, or comm: printable */
    uint64_t age;     /* usec since it started */
} HfOwner;

/* The process that listens at an address for which bind(2) says EADDRINUSE: the same address, the
 * wildcard of the same port, or a unix path or abstract name. Connections that a listener left
 * behind do not count, as they block nobody. Of several the oldest (a master, not its workers); it
 * may be the calling process. Returns 0, -ENOENT when nobody listens there, -EACCES when the
 * process cannot be seen (another pid namespace, no permission), or negative errno. */
int hf_owner_find(const struct sockaddr_storage *address, unsigned length, HfOwner *ret);
/* The same for sockets of the given type (HfAddress.type). */
int hf_owner_find_of(int type, const struct sockaddr_storage *address, unsigned length,
                     HfOwner *ret);

/* ---- sockets that block a bind ---- */

/* Does either IP address keep the other from being bound? */
bool hf_addresses_conflict(const struct sockaddr_storage *a, bool a_v6only,
                           const struct sockaddr_storage *b, bool b_v6only);

/* The inodes of at most maximum listening sockets in this network namespace that conflict with the
 * address, except those of a unix path that is gone. Returns how many (0: none is known), or
 * negative errno. */
int hf_conflict_find(const struct sockaddr_storage *address, unsigned length, ino_t *ret,
                     size_t maximum);
