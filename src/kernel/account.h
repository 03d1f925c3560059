/* SPDX-License-Identifier: MIT */
/* User and group names or numbers. getpwnam_r(3), getgrnam_r(3). */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

typedef struct HfAccount {
    uid_t uid;
    gid_t gid;  /* the user's own, (gid_t) -1 for a number without an entry */
    char *name; /* owned; NULL for a number without an entry */
    char *home; /* owned; NULL likewise */
} HfAccount;

void hf_account_clear(HfAccount *account);
/* name: a name or a decimal number. Returns 0, -ENOENT, or negative errno. */
int hf_account_find(const char *name, HfAccount *ret);

/* name: a name or a decimal number. ret_gid (may be NULL) is the user's own group, (gid_t) -1 for a
 * number without an entry. Returns 0, -ENOENT, or negative errno. */
int hf_account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid);
int hf_account_group(const char *name, gid_t *ret_gid);

/* ---- host names: getaddrinfo(3) blocks, so only a child may call this ---- */

/* Stream addresses of host in the resolver's order, AI_PASSIVE, at most maximum. Returns how many,
 * or -ENOENT (no such host), -EAGAIN (the resolver cannot answer now), or another negative errno.
 */
int hf_resolve(const char *host, uint16_t port, struct sockaddr_storage *ret, unsigned *ret_lengths,
               size_t maximum);
