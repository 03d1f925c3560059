/* SPDX-License-Identifier: MIT */
#include "format/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/parse.h"

#define LABEL_MAX     63 /* RFC 1035 */
#define INTERFACE_MAX 15 /* IFNAMSIZ without its NUL */
/* A path's NUL or an abstract name's leading one takes a byte. */
#define UNIX_NAME_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int parse_port(const char *text, uint16_t *ret)
{
    uint64_t port;
    if (hf_parse_uint(text, UINT16_MAX, &port) < 0 || port == 0)
        return -EINVAL;
    *ret = (uint16_t)port;
    return 0;
}

static int parse_unix(HfAddressKind kind, const char *name, HfAddress *ret)
{
    size_t length = strlen(name);
    if (kind == HF_ADDRESS_UNIX && (*name != '/' || name[length - 1] == '/'))
        return -EINVAL;
    if (length == 0)
        return -EINVAL;
    if (length > UNIX_NAME_MAX)
        return -ENAMETOOLONG;
    *ret = (HfAddress){.kind = kind};
    memcpy(ret->name, name, length + 1);
    return 0;
}

/* netdevice(7): no blank and no slash; a number is a scope. */
static bool is_interface(const char *name)
{
    size_t length = strlen(name);
    bool digits = true;

    for (size_t i = 0; i < length; i++)
        digits &= is_digit(name[i]);
    return length <= INTERFACE_MAX && !digits && !strpbrk(name, " /:%");
}

/* text starts after the opening bracket. */
static int parse_inet6(const char *text, HfAddress *ret)
{
    HfAddress address = {.kind = HF_ADDRESS_INET6};
    char host[INET6_ADDRSTRLEN + sizeof("%") + INTERFACE_MAX];
    const char *end = strchr(text, ']');
    if (!end || end[1] != ':' || (size_t)(end - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';

    char *scope = strchr(host, '%');
    if (scope) {
        uint64_t number;
        *scope++ = '\0';
        if (hf_parse_uint(scope, UINT32_MAX, &number) >= 0 && number > 0)
            address.scope = (uint32_t)number;
        else if (is_interface(scope))
            memcpy(address.name, scope, strlen(scope) + 1);
        else
            return -EINVAL;
    }
    if (inet_pton(AF_INET6, host, address.ip) != 1 || parse_port(end + 2, &address.port) < 0)
        return -EINVAL;
    *ret = address;
    return 0;
}

/* Converts host to lower case, and refuses what RFC 1123, 2.1, does not allow. So is a last label
 * of digits: some resolvers would read it as a number. */
static int check_host(char *host)
{
    size_t label = 0;
    bool digits = true;
    for (char *p = host;; p++) {
        if (*p == '.' || *p == '\0') {
            if (label == 0 || label > LABEL_MAX || p[-1] == '-')
                return -EINVAL;
            if (*p == '\0')
                return digits ? -EINVAL : 0;
            label = 0;
            digits = true;
            continue;
        }
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
        bool letter = *p >= 'a' && *p <= 'z';
        if (!letter && !is_digit(*p) && (*p != '-' || label == 0))
            return -EINVAL;
        digits &= is_digit(*p);
        label++;
    }
}

static const struct {
    const char *prefix;
    int type;
    bool local; /* a type of unix sockets; else of IP */
} types[] = {
    {"udp:", SOCK_DGRAM, false},
    {"dgram:", SOCK_DGRAM, true},
    {"seqpacket:", SOCK_SEQPACKET, true},
};
#define N_TYPES (sizeof(types) / sizeof(*types))

/* Would HOST:PORT be read as a prefix and an address? */
static bool is_prefix(const char *host)
{
    bool is = strcmp(host, "unix") == 0;

    for (size_t i = 0; i < N_TYPES; i++)
        is |= strlen(host) + 1 == strlen(types[i].prefix) &&
              strncmp(host, types[i].prefix, strlen(host)) == 0;
    return is;
}

/* HOST:PORT, split at colon. */
static int parse_host(const char *text, const char *colon, HfAddress *ret)
{
    HfAddress address = {0};
    if (parse_port(colon + 1, &address.port) < 0)
        return -EINVAL;
    size_t length = (size_t)(colon - text);
    if (length > HF_ADDRESS_HOST_MAX)
        return -ENAMETOOLONG;
    memcpy(address.name, text, length);
    if (inet_pton(AF_INET, address.name, address.ip) == 1) {
        address.kind = HF_ADDRESS_INET;
        memset(address.name, 0, sizeof(address.name));
    } else {
        address.kind = HF_ADDRESS_HOST;
        int r = check_host(address.name);
        if (r < 0)
            return r;
        if (is_prefix(address.name))
            return -EINVAL;
    }
    *ret = address;
    return 0;
}

int hf_address_parse(const char *text, HfAddress *ret)
{
    if (hf_text_has_control(text))
        return -EINVAL;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(HF_ADDRESS_UNIX, text + 5, ret);
    if (*text == '/')
        return parse_unix(HF_ADDRESS_UNIX, text, ret);
    if (*text == '@')
        return parse_unix(HF_ADDRESS_ABSTRACT, text + 1, ret);
    if (*text == '[')
        return parse_inet6(text + 1, ret);
    if (strncmp(text, "*:", 2) == 0)
        text += 2;
    const char *colon = strchr(text, ':');
    if (colon)
        return parse_host(text, colon, ret);

    HfAddress address = {.kind = HF_ADDRESS_PORT};
    int r = parse_port(text, &address.port);
    if (r < 0)
        return r;
    *ret = address;
    return 0;
}

int hf_address_parse_any(const char *text, HfAddress *ret)
{
    HfAddress address;
    size_t i = 0;

    while (i < N_TYPES && strncmp(text, types[i].prefix, strlen(types[i].prefix)) != 0)
        i++;
    if (i == N_TYPES)
        return hf_address_parse(text, ret);
    int r = hf_address_parse(text + strlen(types[i].prefix), &address);
    if (r < 0)
        return r;
    if (hf_address_is_unix(&address) != types[i].local)
        return -EINVAL;
    address.type = types[i].type;
    *ret = address;
    return 0;
}

static char *put(char *end, const char *text)
{
    size_t length = strlen(text);
    memcpy(end, text, length + 1);
    return end + length;
}

static char *put_number(char *end, uint32_t number)
{
    char digits[11];
    char *first = digits + sizeof(digits) - 1;
    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return put(end, first);
}

void hf_address_format(const HfAddress *address, char *ret)
{
    char ip[INET6_ADDRSTRLEN];
    *ret = '\0';
    for (size_t i = 0; i < N_TYPES; i++)
        if (address->type == types[i].type && hf_address_is_unix(address) == types[i].local)
            ret = put(ret, types[i].prefix);
    switch (address->kind) {
    case HF_ADDRESS_NONE:
    default:
        break;
    case HF_ADDRESS_PORT:
        put_number(ret, address->port);
        break;
    case HF_ADDRESS_INET:
        ret = put(ret, inet_ntop(AF_INET, address->ip, ip, sizeof(ip)));
        put_number(put(ret, ":"), address->port);
        break;
    case HF_ADDRESS_INET6:
        ret = put(put(ret, "["), inet_ntop(AF_INET6, address->ip, ip, sizeof(ip)));
        if (address->scope > 0)
            ret = put_number(put(ret, "%"), address->scope);
        else if (address->name[0])
            ret = put(put(ret, "%"), address->name);
        put_number(put(ret, "]:"), address->port);
        break;
    case HF_ADDRESS_HOST:
        put_number(put(put(ret, address->name), ":"), address->port);
        break;
    case HF_ADDRESS_UNIX:
        put(ret, address->name);
        break;
    case HF_ADDRESS_ABSTRACT:
        put(put(ret, "@"), address->name);
        break;
    }
}

int hf_address_to_sockaddr(const HfAddress *address, struct sockaddr_storage *ret,
                           socklen_t *ret_length)
{
    union {
        struct sockaddr_storage storage;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } any = {0};
    size_t length = 0;
    switch (address->kind) {
    case HF_ADDRESS_INET:
        any.in.sin_family = AF_INET;
        any.in.sin_port = htons(address->port);
        memcpy(&any.in.sin_addr, address->ip, sizeof(any.in.sin_addr));
        length = sizeof(any.in);
        break;
    case HF_ADDRESS_PORT:
        any.in6.sin6_family = AF_INET6;
        any.in6.sin6_port = htons(address->port);
        length = sizeof(any.in6);
        break;
    case HF_ADDRESS_INET6:
        any.in6.sin6_family = AF_INET6;
        any.in6.sin6_port = htons(address->port);
        any.in6.sin6_scope_id = address->scope;
        memcpy(&any.in6.sin6_addr, address->ip, sizeof(any.in6.sin6_addr));
        length = sizeof(any.in6);
        break;
    case HF_ADDRESS_UNIX:
    case HF_ADDRESS_ABSTRACT: {
        bool abstract = address->kind == HF_ADDRESS_ABSTRACT;
        size_t name = strnlen(address->name, UNIX_NAME_MAX);
        any.un.sun_family = AF_UNIX;
        memcpy(any.un.sun_path + abstract, address->name, name);
        length = offsetof(struct sockaddr_un, sun_path) + name + 1;
        break;
    }
    case HF_ADDRESS_NONE:
    case HF_ADDRESS_HOST:
    default:
        return -EINVAL;
    }
    *ret = any.storage;
    *ret_length = (socklen_t)length;
    return 0;
}

static int from_unix(const struct sockaddr_un *un, size_t length, HfAddress *ret)
{
    size_t header = offsetof(struct sockaddr_un, sun_path);
    if (length <= header || length > sizeof(*un))
        return -EINVAL;
    length -= header;
    HfAddress address = {0};
    if (un->sun_path[0] == '\0') {
        if (length == 1 || memchr(un->sun_path + 1, 0, length - 1))
            return -EINVAL;
        address.kind = HF_ADDRESS_ABSTRACT;
        memcpy(address.name, un->sun_path + 1, length - 1);
    } else {
        if (un->sun_path[0] != '/')
            return -EINVAL;
        address.kind = HF_ADDRESS_UNIX;
        memcpy(address.name, un->sun_path, strnlen(un->sun_path, length));
    }
    *ret = address;
    return 0;
}

int hf_address_from_sockaddr(const struct sockaddr_storage *sockaddr, socklen_t length,
                             HfAddress *ret)
{
    if (length < sizeof(sockaddr->ss_family) || length > sizeof(*sockaddr))
        return -EINVAL;
    if (sockaddr->ss_family == AF_UNIX) {
        struct sockaddr_un un;
        memcpy(&un, sockaddr, sizeof(un));
        return from_unix(&un, length, ret);
    }
    if (sockaddr->ss_family == AF_INET) {
        struct sockaddr_in in;
        if (length < sizeof(in))
            return -EINVAL;
        memcpy(&in, sockaddr, sizeof(in));
        *ret = (HfAddress){.kind = HF_ADDRESS_INET, .port = ntohs(in.sin_port)};
        memcpy(ret->ip, &in.sin_addr, sizeof(in.sin_addr));
        return 0;
    }
    if (sockaddr->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        if (length < sizeof(in6))
            return -EINVAL;
        memcpy(&in6, sockaddr, sizeof(in6));
        *ret = (HfAddress){
            .kind = HF_ADDRESS_INET6, .port = ntohs(in6.sin6_port), .scope = in6.sin6_scope_id};
        memcpy(ret->ip, &in6.sin6_addr, sizeof(in6.sin6_addr));
        return 0;
    }
    return -EAFNOSUPPORT;
}

static bool is_everywhere(const HfAddress *address)
{
    static const uint8_t zero[sizeof(address->ip)];
    bool inet = address->kind == HF_ADDRESS_INET || address->kind == HF_ADDRESS_INET6;
    return address->kind == HF_ADDRESS_PORT ||
           (inet && address->scope == 0 && memcmp(address->ip, zero, sizeof(zero)) == 0);
}

bool hf_address_equal(const HfAddress *a, const HfAddress *b)
{
    if (a->type != b->type)
        return false;
    if (a->kind == HF_ADDRESS_PORT || b->kind == HF_ADDRESS_PORT)
        return a->port == b->port && is_everywhere(a) && is_everywhere(b);
    return a->kind == b->kind && a->kind != HF_ADDRESS_NONE && a->port == b->port &&
           a->scope == b->scope && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 &&
           strcmp(a->name, b->name) == 0;
}
