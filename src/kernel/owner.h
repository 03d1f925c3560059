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
    uint64_t age;     /* usec since it began */
} HfOwner;

/* The process that listens at an address that bind(2) calls busy: same address, or the wildcard of
 * the same port, or a unix path or abstract name. Connections that a listener left behind do not
 * count: they keep nobody from binding. The oldest of several (a master, not its workers); it may
 * be the calling process. Returns 0, -ENOENT when nobody listens there, -EACCES when
 * somebody does who cannot be seen (another pid namespace, no permission), or negative errno. */
int hf_owner_find(const struct sockaddr_storage *address, unsigned length, HfOwner *ret);
/* The same of sockets of that type (HfAddress.type). */
int hf_owner_find_of(int type, const struct sockaddr_storage *address, unsigned length,
                     HfOwner *ret);

/* ---- which sockets stand in the way of a bind ---- */

/* Would one of two IP addresses keep the other from being bound? */
bool hf_addresses_conflict(const struct sockaddr_storage *a, bool a_v6only,
                           const struct sockaddr_storage *b, bool b_v6only);

/* The inodes of at most maximum listening sockets of this network namespace that conflict with the
 * address: not those of a unix path that is gone. Returns how many (0: none is known), or negative
 * errno. */
int hf_conflict_find(const struct sockaddr_storage *address, unsigned length, ino_t *ret,
                     size_t maximum);
