/* Listening sockets: made, checked, adjusted, and their unix paths taken away again. socket(7),
 * tcp(7), unix(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Where hf_socket_bind failed. */
typedef enum HfSocketStage {
    HF_LISTENER_SOCKET,
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
    int backlog; /* as listen(2) takes it */
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
} HfSocketRequest;

/* Binds and listens: stream, CLOEXEC, SO_REUSEADDR for IP, IPV6_V6ONLY as the address needs ([::]
 * is dual-stack, any other IPv6 address v6 only), never O_NONBLOCK. A unix path is replaced only if
 * it is a socket to which connect(2) is refused and that nobody is about to listen at; its rights
 * are in place before it listens, whatever the umask. Returns 0 and the descriptor (owned by the
 * caller) and inode, or negative errno and *ret_stage: -EADDRINUSE also for a path somebody listens
 * at, -ENOTSOCK for a path that is something else (a symbolic link too). On failure nothing new is
 * left on disk; a dead socket may have been removed. */
int hf_socket_bind(const HfSocketRequest *request, int *ret_fd, HfSocketInode *ret_inode,
                   HfSocketStage *ret_stage);

/* Gives a unix path that hf_socket_bind made the rights of another request; what that leaves
 * unset stays as it is. Returns 0, or negative errno (-EADDRINUSE when something else stands there)
 * and *ret_stage. */
int hf_socket_secure(const HfSocketRequest *request, const HfSocketInode *inode,
                     HfSocketStage *ret_stage);

/* What would keep hf_socket_bind from a unix path, as far as can be told without changing
 * anything; 0 for other addresses. Returns as hf_socket_bind. */
int hf_socket_probe(const HfSocketRequest *request, HfSocketStage *ret_stage);

/* Is fd a listening stream socket (SO_TYPE, SO_ACCEPTCONN)? 0, or -EBADF, -ENOTSOCK, -EPROTOTYPE,
 * -EINVAL (does not listen). */
int hf_socket_verify(int fd);

/* The inode of a unix path where a socket stands. Returns 0, or -EADDRINUSE when none does. */
int hf_socket_path_inode(const char *path, HfSocketInode *ret);

/* getsockname(2). */
int hf_listener_name(int fd, struct sockaddr_storage *ret, unsigned *ret_length);

/* Changes the backlog of a socket that listens. */
int hf_socket_set_backlog(int fd, int backlog);

/* It listens no more, in no process that has it: what waits is reset. SO_REUSEADDR keeps it from
 * being in anybody's way. */
int hf_socket_shut_down(int fd);

/* net.core.somaxconn, 4096 when it cannot be read. */
int hf_socket_somaxconn(void);

/* Unlinks path if it still is that inode, for which a descriptor of the listener is to be open
 * still: only that keeps its number from being given to another file. 0, -ENOENT, or -ESTALE when
 * something else stands there. */
int hf_socket_unlink(const char *path, const HfSocketInode *inode);

/* Where a client on this machine reaches it: its own address; for one on every interface, 127.0.0.1
 * or, where IPv4 does not lead there, ::1 (ipv6(7), IPV6_V6ONLY). Returns 0 or negative errno. */
int hf_socket_reach(int fd, struct sockaddr_storage *ret, socklen_t *ret_length);
