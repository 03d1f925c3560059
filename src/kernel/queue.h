/* How many connections wait to be accepted. tcp(7) TCP_INFO, sock_diag(7) UNIX_DIAG. */
#pragma once

#include <stdint.h>

typedef struct HfQueue {
    uint32_t depth; /* connections that wait */
    uint32_t limit; /* the backlog as listen(2) took it */
} HfQueue;

/* Connections that the kernel dropped because the queue of fd, a TCP listener, was full, or for
 * other reasons (SO_MEMINFO, SK_MEMINFO_DROPS); wraps at 2^32. A full unix queue refuses instead
 * and counts nothing. Returns 0 or negative errno. */
int hf_queue_drops(int fd, uint32_t *ret);

/* fd: a listening TCP or unix socket. Returns 0, -EINVAL (does not listen), -EAFNOSUPPORT, -ENOENT
 * (a unix socket of another network namespace), or another negative errno. */
int hf_queue_read(int fd, HfQueue *ret);
