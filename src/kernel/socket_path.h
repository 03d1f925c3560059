/* SPDX-License-Identifier: MIT */
/* The unix paths of listeners: looked at, made way at, given their rights, taken away again.
 * unix(7), acl(5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HF_LISTENER_PATH_MAX 109 /* the longest sun_path and a NUL */

/* Where hf_socket_bind failed. */
typedef enum HfSocketStage {
    HF_LISTENER_SOCKET,
    HF_LISTENER_OPTION,
    HF_LISTENER_PATH, /* what stands there is no socket (-ENOTSOCK), or could not be removed */
    HF_LISTENER_BIND, /* also for a path that somebody listens at */
    HF_LISTENER_MODE,
    HF_LISTENER_OWNER,
    HF_LISTENER_ACL,
    HF_LISTENER_LISTEN,
} HfSocketStage;

/* The inode of a path that holdfast bound: what may be unlinked at the end. */
typedef struct HfSocketInode {
    dev_t device;
    ino_t inode; /* 0: none */
} HfSocketInode;

/* What to bind: an address and, for a unix path, its access rights (ignored for others). */
typedef struct HfSocketRequest {
    const struct sockaddr_storage *address;
    unsigned address_length;
    int type;                /* SOCK_DGRAM or SOCK_SEQPACKET; 0: SOCK_STREAM */
    int backlog;             /* as listen(2) takes it */
    const char *interface;   /* that it is bound to; NULL or "": any */
    const int (*options)[3]; /* level, name, value: set before it is bound */
    size_t n_options;
    bool ipv6_only; /* [::] does not take IPv4, too */
    bool has_mode;
    mode_t mode;
    uid_t uid;              /* (uid_t) -1: leave */
    gid_t gid;              /* (gid_t) -1: leave */
    const uid_t *acl_users; /* each gets read and write (libacl); with any ACL entry uid and gid are
                               ignored */
    size_t n_acl_users;
    const gid_t *acl_groups;
    size_t n_acl_groups;
    bool replace_acl; /* what the path's access control list grants so far is taken away */
    const char *like; /* the rights of this file in place of all these; NULL: none */
} HfSocketRequest;

/* Copies the path of a unix address, or "" for an abstract, an unnamed and an IP address. */
void hf_socket_path_of(const HfSocketRequest *request, char ret[static HF_LISTENER_PATH_MAX]);

/* Is it one file, by whatever names of its directory? */
bool hf_socket_path_same(const char *a, const char *b);

/* Makes way for a bind to path. Only a socket nobody is behind is removed. Returns 0,
 * -EADDRINUSE (somebody may be), -ENOTSOCK, or negative errno. */
int hf_socket_path_clear(const char *path);

/* Sets the rights that the request asks for on that inode and no other. Returns 0, or negative
 * errno and *ret_stage. */
int hf_socket_path_secure(const char *path, const HfSocketInode *inode,
                          const HfSocketRequest *request, HfSocketStage *ret_stage);

/* What would keep hf_socket_bind from a unix path, as far as can be told without changing
 * anything; 0 for other addresses. Returns as hf_socket_bind. */
int hf_socket_probe(const HfSocketRequest *request, HfSocketStage *ret_stage);

/* The inode of a unix path where a socket stands. Returns 0, -EADDRINUSE when none does, or another
 * negative errno: that cannot be told. */
int hf_socket_path_inode(const char *path, HfSocketInode *ret);

/* Is path that inode? 1, 0 when it is another or none, or negative errno: that cannot be told. */
int hf_socket_path_is(const char *path, const HfSocketInode *inode);

/* Unlinks path if it still is that inode, for which a descriptor of the listener is to be open
 * still: only that keeps its number from being given to another file. 0, -ENOENT, or -ESTALE when
 * something else stands there. */
int hf_socket_unlink(const char *path, const HfSocketInode *inode);
