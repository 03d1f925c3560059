/* SPDX-License-Identifier: MIT */
/* The kernel's table of sockets, of this network namespace. sock_diag(7), netlink(7). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* One socket of the table. */
typedef struct HfSockDiag {
    ino_t inode;    /* as fstat(2) of its descriptor says; 0: no process has it */
    unsigned state; /* TCP_LISTEN and the like of <netinet/tcp.h>, for unix too */
    /* Its own address; of an unnamed unix socket the family only. A unix path comes as it was
     * bound. */
    struct sockaddr_storage address;
    unsigned address_length;
    uint64_t peer; /* of TCP: tells the address of the other end from any other; 0: none */
    bool v6only;
    bool has_file; /* a unix path that may be gone by now */
    dev_t file_device;
    uint32_t file_inode; /* the low 32 bits */
    bool has_queue;      /* unix only */
    uint32_t queue_depth;
    uint32_t queue_limit;
} HfSockDiag;

/* Returns false to see no more. socket is valid during the call. */
typedef bool (*HfSockDiagVisit)(const HfSockDiag *socket, void *userdata);

/* The TCP sockets of family (AF_INET or AF_INET6) with that local port (host byte order) in one of
 * states (bits 1 << TCP_...). Returns 0 or negative errno. */
int hf_sock_diag_tcp(int family, uint16_t port, uint32_t states, HfSockDiagVisit visit,
                     void *userdata);

/* The same of all UDP sockets. */
int hf_sock_diag_udp(int family, uint16_t port, HfSockDiagVisit visit, void *userdata);

/* All unix sockets in one of states; has_queue stays false. Returns 0 or negative errno. */
int hf_sock_diag_unix(uint32_t states, HfSockDiagVisit visit, void *userdata);

/* The unix socket with that inode, without its address, with its queue. Returns 0, -ENOENT, or
 * negative errno. */
int hf_sock_diag_unix_queue(ino_t inode, HfSockDiag *ret);

/* Is it bound to this file? A file system may report another device number to stat(2) than the
 * kernel has (btrfs, overlayfs): false then. */
bool hf_sock_diag_is_file(const HfSockDiag *socket, dev_t device, ino_t inode);

/* ---- queue ---- */

/* How many connections wait to be accepted. tcp(7) TCP_INFO, sock_diag(7) UNIX_DIAG. */

/* Connections; of datagrams bytes, where the depth of a unix socket is that of the first one. */
typedef struct HfQueue {
    uint32_t depth; /* that wait */
    uint32_t limit; /* the backlog as listen(2) took it, or SO_RCVBUF */
} HfQueue;

/* Connections that the kernel dropped because the queue of fd, a TCP listener, was full, or for
 * other reasons (SO_MEMINFO, SK_MEMINFO_DROPS); wraps at 2^32. A full unix queue refuses instead
 * and counts nothing. Returns 0 or negative errno. */
int hf_queue_drops(int fd, uint32_t *ret);

/* fd: a listening TCP or unix socket, or one of datagrams. Returns 0, -EINVAL (does not listen),
 * -EAFNOSUPPORT, -ENOENT (a unix socket of another network namespace), or another negative errno.
 */
int hf_queue_read(int fd, HfQueue *ret);
