/* From a listening socket to an address at which a client on this machine reaches it. */
#pragma once

#include <sys/socket.h>

/* Its own address; for one on every interface, 127.0.0.1 or, where IPv4 does not lead there, ::1
 * (ipv6(7), IPV6_V6ONLY). Returns 0 or negative errno. */
int hf_socket_reach(int fd, struct sockaddr_storage *ret, socklen_t *ret_length);
