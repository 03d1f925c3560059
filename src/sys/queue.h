/* How many connections wait to be accepted. tcp(7) TCP_INFO, sock_diag(7) UNIX_DIAG. */
#pragma once

#include <stdint.h>

typedef struct HfQueue {
    uint32_t depth;
    uint32_t limit;
} HfQueue;

/* fd: a listening TCP or unix socket. Returns 0 or negative errno. */
int hf_queue_read(int fd, HfQueue *ret);
