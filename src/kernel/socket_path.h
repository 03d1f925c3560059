/* SPDX-License-Identifier: MIT */
/* The unix paths of listeners: inspected, cleared, given permissions, removed. unix(7), acl(5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HF_LISTENER_PATH_MAX 109 /* the longest sun_path plus a NUL */

/* The step at which hf_socket_bind failed. */
typedef enum HfSocketStage {
    HF_LISTENER_SOCKET,
    HF_LISTENER_OPTION,
    HF_LISTENER_PATH, /* it is not a socket (-ENOTSOCK), or could not be removed */
    HF_LISTENER_BIND, /* also for a path that somebody listens at */
    HF_LISTENER_MODE,
    HF_LISTENER_OWNER,
    HF_LISTENER_ACL,
    HF_LISTENER_LISTEN,
} HfSocketStage;

/* The inode of a path that holdfast bound, and so may unlink in the end. */
typedef struct HfSocketInode {
    dev_t device;
    ino_t inode; /* 0: none */
} HfSocketInode;

/* What to bind: an address and, for a unix path, its permissions (ignored for others). */
typedef struct HfSocketRequest {
    const struct sockaddr_storage *address;
    unsigned address_length;
    int type;                /* SOCK_DGRAM or SOCK_SEQPACKET; 0: SOCK_STREAM */
    int backlog;             /* as for listen(2) */
    const char *interface;   /* that it is bound to; NULL or "": any */
    const int (*options)[3]; /* level, name, value: set before bind(2) */
    size_t n_options;
    bool ipv6_only; /* [::] does not accept IPv4 */
    bool has_mode;
    mode_t mode;
    uid_t uid; /* (uid_t) -1: leave */
    gid_t gid; /* (gid_t) -1: leave */
    const uid_t
        *acl_users; /* each gets read and write (libacl); any ACL entry makes uid and gid ignored */
    size_t n_acl_users;
    const gid_t *acl_groups;
    size_t n_acl_groups;
    bool replace_acl; /* drop what the path's access control list grants so far */
    const char *like; /* a file whose permissions to copy instead; NULL: none */
} HfSocketRequest;

/* Copies the path of a unix address; "" for an abstract, unnamed or IP address. */
void hf_socket_path_of(const HfSocketRequest *request, char ret[static HF_LISTENER_PATH_MAX]);

/* Are both the same file, even if the directory has several names? */
bool hf_socket_path_same(const char *a, const char *b);

/* Clears path for a bind. Only removes a socket that nobody is behind. Returns 0, -EADDRINUSE
 * (somebody may be), -ENOTSOCK, or negative errno. */
int hf_socket_path_clear(const char *path);

/* Sets the permissions of the request on that inode and no other. Returns 0, or negative errno and
 * *ret_stage. */
int hf_socket_path_secure(const char *path, const HfSocketInode *inode,
                          const HfSocketRequest *request, HfSocketStage *ret_stage);

/* Checks, without changing anything, what would keep hf_socket_bind from a unix path; 0 for other
 * addresses. Returns as hf_socket_bind. */
int hf_socket_probe(const HfSocketRequest *request, HfSocketStage *ret_stage);

/* The inode of the socket at a unix path. Returns 0, -EADDRINUSE when there is no socket, or
 * another negative errno when that cannot be determined. */
int hf_socket_path_inode(const char *path, HfSocketInode *ret);

/* Is path that inode? Returns 1, 0 when it is another file or missing, or negative errno when that
 * cannot be determined. */
int hf_socket_path_is(const char *path, const HfSocketInode *inode);

/* Unlinks path if it is still that inode. The listener must still be open: only that keeps the
 * inode number from being reused. Returns 0, -ENOENT, or -ESTALE when something else stands there.
 */
int hf_socket_unlink(const char *path, const HfSocketInode *inode);
