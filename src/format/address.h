/* SPDX-License-Identifier: MIT */
/* Addresses of listeners: text to value and back, value to socket address and back. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "base/text.h"

typedef enum HfAddressKind {
    HF_ADDRESS_NONE,
    HF_ADDRESS_PORT, /* 9000 or *:9000: every interface; [::] with IPv4 mapped, 0.0.0.0 without IPv6
                      */
    HF_ADDRESS_INET, /* 127.0.0.1:9000 */
    HF_ADDRESS_INET6,    /* [::1]:9000, scope as [fe80::1%2]:9000 or [fe80::1%eth0]:9000 */
    HF_ADDRESS_HOST,     /* localhost:9000, still to be resolved */
    HF_ADDRESS_UNIX,     /* unix:/run/x.sock or /run/x.sock: absolute path */
    HF_ADDRESS_ABSTRACT, /* @name (unix(7)) */
} HfAddressKind;

#define HF_ADDRESS_HOST_MAX 255 /* bytes of a host name, RFC 1035 */
#define HF_ADDRESS_TEXT_MAX 300 /* holds every address as text, with its NUL */

typedef struct HfAddress {
    HfAddressKind kind;
    int type;       /* SOCK_DGRAM or SOCK_SEQPACKET; 0: SOCK_STREAM */
    uint16_t port;  /* host byte order; PORT, INET, INET6, HOST */
    uint32_t scope; /* INET6; 0: none, or the interface is named */
    uint8_t ip[16]; /* network byte order; INET uses the first 4 */
    /* HOST, UNIX, ABSTRACT (without @), interface of INET6: NUL-terminated; the unix ones fit
     * sun_path. */
    char name[HF_ADDRESS_HOST_MAX + 1];
} HfAddress;

/* Parses one address. Refuses relative paths and paths that end in a slash, control characters,
 * port 0, bare IPv6 without brackets, dotted numbers that are not an IPv4 address, and host names
 * that RFC 1123 does not allow. Host names are converted to lower case. Returns 0 or -EINVAL
 * (-ENAMETOOLONG when a path, abstract name or host is too long). */
int hf_address_parse(const char *text, HfAddress *ret);
/* The same for any type: udp:ADDRESS, dgram:PATH, dgram:@NAME, and seqpacket: with a path or name.
 */
int hf_address_parse_any(const char *text, HfAddress *ret);

/* Canonical text, as hf_address_parse_any reads it: 9000, 127.0.0.1:9000, [::1]:9000, host:9000,
 * /run/x.sock, @name; "" for NONE. ret holds HF_ADDRESS_TEXT_MAX bytes. */
void hf_address_format(const HfAddress *address, char *ret);

/* PORT gives [::]:port; an interface given by name gives no scope. Returns 0, or -EINVAL for HOST
 * and NONE. */
int hf_address_to_sockaddr(const HfAddress *address, struct sockaddr_storage *ret,
                           socklen_t *ret_length);

/* The reverse, from getsockname(2) and the like; length is what the kernel returned. Returns 0,
 * -EAFNOSUPPORT, or -EINVAL for a length that does not fit the family, an unnamed unix socket, a
 * relative path, and an abstract name that contains a NUL. */
int hf_address_from_sockaddr(const struct sockaddr_storage *sockaddr, socklen_t length,
                             HfAddress *ret);

/* Do both mean the same address and type? A PORT equals [::] and 0.0.0.0 with that port; HOST
 * equals only the same HOST. NONE equals nothing. */
bool hf_address_equal(const HfAddress *a, const HfAddress *b);

/* Does it contain a name that has to be looked up first? */
static inline bool hf_address_is_looked_up(const HfAddress *address)
{
    return address->kind == HF_ADDRESS_HOST ||
           (address->kind == HF_ADDRESS_INET6 && address->name[0]);
}

static inline bool hf_address_is_unix(const HfAddress *address)
{
    return address->kind == HF_ADDRESS_UNIX || address->kind == HF_ADDRESS_ABSTRACT;
}

static inline bool hf_address_is_tcp(const HfAddress *address)
{
    return !hf_address_is_unix(address) && address->type == 0;
}

static inline bool hf_address_is_path(const HfAddress *address)
{
    return address->kind == HF_ADDRESS_UNIX;
}
