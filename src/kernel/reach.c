#include "kernel/reach.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "kernel/socket.h"

static void reach_inet(struct sockaddr_storage *address)
{
    struct sockaddr_in in;

    memcpy(&in, address, sizeof(in));
    if (in.sin_addr.s_addr == htonl(INADDR_ANY))
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(address, &in, sizeof(in));
}

static int reach_inet6(int fd, struct sockaddr_storage *address, unsigned *length)
{
    struct sockaddr_in6 in6;
    int only = 0;
    socklen_t size = sizeof(only);

    memcpy(&in6, address, sizeof(in6));
    if (!IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
        return 0;
    if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) < 0)
        return -errno;
    if (only) {
        in6.sin6_addr = in6addr_loopback;
        memcpy(address, &in6, sizeof(in6));
        return 0;
    }
    const struct sockaddr_in in = {
        .sin_family = AF_INET,
        .sin_port = in6.sin6_port,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    memcpy(address, &in, sizeof(in));
    *length = sizeof(in);
    return 0;
}

int hf_socket_reach(int fd, struct sockaddr_storage *ret, socklen_t *ret_length)
{
    struct sockaddr_storage address;
    unsigned length;

    int r = hf_listener_name(fd, &address, &length);
    if (r < 0)
        return r;
    if (address.ss_family == AF_INET)
        reach_inet(&address);
    else if (address.ss_family == AF_INET6)
        r = reach_inet6(fd, &address, &length);
    if (r < 0)
        return r;
    *ret = address;
    *ret_length = length;
    return 0;
}
