/* SPDX-License-Identifier: MIT */
/* The kernel's table of sockets in this network namespace. sock_diag(7), netlink(7). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* One socket of the table. */
typedef struct HfSockDiag {
    ino_t inode;    /* as fstat(2) reports it; 0: no process has it open */
    unsigned state; /* TCP_LISTEN and the like of <netinet/tcp.h>, for unix too */
    /* Its own address; for an unnamed unix socket only the family. A unix path is as it was bound.
     */
    struct sockaddr_storage address;
    unsigned address_length;
    uint64_t peer; /* TCP: a hash that identifies the address of the other end; 0: none */
    bool v6only;
    bool has_file; /* a unix path that may be gone by now */
    dev_t file_device;
    uint32_t file_inode; /* the low 32 bits */
    bool has_queue;      /* unix only */
    uint32_t queue_depth;
    uint32_t queue_limit;
} HfSockDiag;

/* Returns false to end the search. socket is valid during the call. */
typedef bool (*HfSockDiagVisit)(const HfSockDiag *socket, void *userdata);

/* Visits the TCP sockets of family (AF_INET or AF_INET6) with that local port (host byte order; 0:
 * any) in any of states (bits 1 << TCP_...). Returns 0 or negative errno. */
int hf_sock_diag_tcp(int family, uint16_t port, uint32_t states, HfSockDiagVisit visit,
                     void *userdata);

/* The same for all UDP sockets. */
int hf_sock_diag_udp(int family, uint16_t port, HfSockDiagVisit visit, void *userdata);

/* The same for all unix sockets in any of states; has_queue stays false. */
int hf_sock_diag_unix(uint32_t states, HfSockDiagVisit visit, void *userdata);

/* The unix socket with that inode, without its address, but with its queue. Returns 0, -ENOENT, or
 * negative errno. */
int hf_sock_diag_unix_queue(ino_t inode, HfSockDiag *ret);

/* Is it bound to this file? False, too, where stat(2) reports a device number other than the
 * kernel's (btrfs, overlayfs). */
bool hf_sock_diag_is_file(const HfSockDiag *socket, dev_t device, ino_t inode);

/* ---- queue ---- */

/* How many connections are waiting to be accepted. tcp(7) TCP_INFO, sock_diag(7) UNIX_DIAG. */

/* In connections; for datagram sockets in bytes, of which a unix socket only tells those of the
 * first datagram. */
typedef struct HfQueue {
    uint32_t depth; /* waiting */
    uint32_t limit; /* the backlog given to listen(2), or SO_RCVBUF */
} HfQueue;

/* Connections that the kernel dropped since the queue of fd, a TCP listener, was full, or for other
 * reasons (SO_MEMINFO, SK_MEMINFO_DROPS); wraps at 2^32. A full unix queue refuses instead and is
 * not counted. Returns 0 or negative errno. */
int hf_queue_drops(int fd, uint32_t *ret);

/* fd: a listening TCP or unix socket, or a datagram socket. Returns 0, -EINVAL (not listening),
 * -EAFNOSUPPORT, -ENOENT (a unix socket of another network namespace), or another negative errno.
 */
int hf_queue_read(int fd, HfQueue *ret);
