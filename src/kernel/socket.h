/* SPDX-License-Identifier: MIT */
/* Listening sockets: created, checked, adjusted. socket(7), tcp(7), unix(7). */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "kernel/process.h"
#include "kernel/socket_path.h"

/* Binds and listens (a datagram socket only binds): CLOEXEC, SO_REUSEADDR for TCP, IPV6_V6ONLY as
 * the address needs it ([::] is dual-stack, any other IPv6 address v6 only), never O_NONBLOCK. A
 * unix path is replaced only if it is a socket that refuses connect(2) and that nobody is about to
 * listen at; its permissions are in place before it listens, whatever the umask. Returns 0, the
 * descriptor (owned by the caller) and the inode, or negative errno and *ret_stage: -EADDRINUSE
 * also for a path that somebody listens at, -ENOTSOCK for a path that is something else, such as a
 * symbolic link. On failure nothing new is left on disk; a dead socket may have been removed. */
int hf_socket_bind(const HfSocketRequest *request, int *ret_fd, HfSocketInode *ret_inode,
                   HfSocketStage *ret_stage);

/* Gives a unix path that hf_socket_bind made the permissions of another request; values that it
 * does not set stay as they are. Returns 0, or negative errno (-EADDRINUSE when something else
 * stands there) and *ret_stage. */
int hf_socket_secure(const HfSocketRequest *request, const HfSocketInode *inode,
                     HfSocketStage *ret_stage);

/* The type of a socket that can be held: a stream or seqpacket socket that listens, or a datagram
 * socket. Otherwise -EBADF, -ENOTSOCK, -EPROTOTYPE, or -EINVAL (not listening). */
int hf_socket_type(int fd);

/* Is fd a listening stream socket (SO_TYPE, SO_ACCEPTCONN)? Returns 0, or -EBADF, -ENOTSOCK,
 * -EPROTOTYPE, -EINVAL (not listening). */
int hf_socket_verify(int fd);

/* Does this machine have that IP address, with these options? True as well where that cannot be
 * determined. Tries any free port, so nothing is in the way. */
bool hf_socket_can_have(const HfSocketRequest *request);

/* getsockname(2). */
int hf_listener_name(int fd, struct sockaddr_storage *ret, unsigned *ret_length);

/* Changes the backlog of a socket that listens. */
int hf_socket_set_backlog(int fd, int backlog);

/* Stops listening, for every process that has the socket: queued connections are reset. With
 * SO_REUSEADDR the address is free from then on. */
int hf_socket_shut_down(int fd);

/* net.core.somaxconn, 4096 when it cannot be read. */
int hf_socket_somaxconn(void);

/* The address at which a client on this machine reaches the listener: its own, or for a wildcard
 * 127.0.0.1 or, where IPv4 does not lead there, ::1 (ipv6(7), IPV6_V6ONLY). Returns 0 or negative
 * errno. */
int hf_socket_reach(int fd, struct sockaddr_storage *ret, socklen_t *ret_length);

/* ---- copies ---- */

/* Listening sockets copied out of a running process. pidfd_getfd(2), proc(5). */

/* Copies the socket with which holder listens at an address into this process: the same socket,
 * CLOEXEC, owned by the caller. Nothing changes for holder. Returns 0, or -ENOENT (nobody listens
 * there in this network namespace), -ENOTCONN (somebody does, but not holder), -EACCES (its
 * descriptors may not be listed), -EPERM (they may not be copied: ptrace(2), "Ptrace access mode
 * checking", or a seccomp filter), -ESRCH (it has gone), -ENOSYS (before Linux 5.6). */
int hf_takeover_copy(const HfProcess *holder, const struct sockaddr_storage *address,
                     unsigned length, int *ret_fd);
/* The same for all its sockets there, at most maximum. Returns how many, or errors as above. */
int hf_takeover_copy_all(const HfProcess *holder, const struct sockaddr_storage *address,
                         unsigned length, int *ret_fds, int maximum);

/* Is pid in this process's network namespace? 1 or 0, or negative errno. */
int hf_takeover_same_network(pid_t pid);
