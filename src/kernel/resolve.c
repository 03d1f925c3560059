#include "kernel/resolve.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

static int translate(int error)
{
    int saved = errno;

    switch (error) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return saved > 0 ? -saved : -EIO;
    default:
        return -EIO;
    }
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET)
        ((struct sockaddr_in *)address)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
}

int hf_resolve(const char *host, uint16_t port, struct sockaddr_storage *ret, unsigned *ret_lengths,
               size_t maximum)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    size_t n = 0;

    assert(maximum > 0);
    int r = translate(getaddrinfo(host, NULL, &hints, &list));
    if (r < 0)
        return r;
    for (const struct addrinfo *entry = list; entry && n < maximum; entry = entry->ai_next) {
        if ((entry->ai_family != AF_INET && entry->ai_family != AF_INET6) ||
            entry->ai_addrlen > sizeof(*ret))
            continue;
        ret[n] = (struct sockaddr_storage){0};
        memcpy(&ret[n], entry->ai_addr, entry->ai_addrlen);
        ret_lengths[n++] = entry->ai_addrlen;
    }
    freeaddrinfo(list);
    for (size_t i = 0; i < n; i++)
        set_port(&ret[i], port);
    return n > 0 ? (int)n : -ENOENT;
}
