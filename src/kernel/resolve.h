/* Host names to addresses. getaddrinfo(3). Blocks; used before a generation is spawned only. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Stream addresses of host in the resolver's order, AI_PASSIVE, at most maximum. Returns how many,
 * or -ENOENT (no such host), -EAGAIN (the resolver has no answer now), or another negative errno.
 */
int hf_resolve(const char *host, uint16_t port, struct sockaddr_storage *ret, unsigned *ret_lengths,
               size_t maximum);
