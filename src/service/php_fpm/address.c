#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "service/php_fpm/php_fpm.h"

static const uint8_t any_ip[16];

/* ip:port, without brackets and scope. */
static void put_inet_key(HfAddressKind kind, const uint8_t ip[16], uint16_t port, char *ret)
{
    HfAddress address = {.kind = kind, .port = port};
    char text[HF_ADDRESS_TEXT_MAX];

    memcpy(address.ip, ip, sizeof(address.ip));
    hf_address_format(&address, text);
    for (const char *c = text; *c; c++)
        if (*c != '[' && *c != ']')
            *ret++ = *c;
    *ret = '\0';
}

int hf_phpfpm_key(const HfAddress *address, unsigned index, char *ret)
{
    switch (address->kind) {
    case HF_ADDRESS_PORT:
        if (index > 1)
            return -ENOENT;
        put_inet_key(index == 0 ? HF_ADDRESS_INET6 : HF_ADDRESS_INET, any_ip, address->port, ret);
        return 0;
    case HF_ADDRESS_INET:
    case HF_ADDRESS_INET6:
        if (index > 0)
            return -ENOENT;
        put_inet_key(address->kind, address->ip, address->port, ret);
        return 0;
    case HF_ADDRESS_UNIX:
        /* php-fpm takes a path with a colon for a host, and cuts FPM_SOCKETS at the others. */
        if (strpbrk(address->name, ":,="))
            return -EINVAL;
        if (index > 0)
            return -ENOENT;
        memcpy(ret, address->name, strlen(address->name) + 1);
        return 0;
    case HF_ADDRESS_NONE:
    case HF_ADDRESS_HOST:
    case HF_ADDRESS_ABSTRACT:
    default:
        return -EINVAL;
    }
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* host:port as php-fpm cuts it, at the last colon: an IPv6 address needs no brackets. */
static int parse_inet(const char *listen, HfAddress *ret)
{
    const char *port = strrchr(listen, ':') + 1;
    size_t length = (size_t)(port - 1 - listen);
    bool bare = *listen != '[' && memchr(listen, ':', length) != NULL;
    char text[HF_ADDRESS_TEXT_MAX];

    if (strchr("/@", *listen) || !is_number(port))
        return -EINVAL;
    if (strlen(listen) + sizeof("[]") > sizeof(text))
        return -ENAMETOOLONG;
    char *end = stpcpy(text, bare ? "[" : "");
    memcpy(end, listen, length);
    stpcpy(stpcpy(stpcpy(end + length, bare ? "]" : ""), ":"), port);
    return hf_address_parse(text, ret);
}

/* What php-fpm takes for a file name beginning with @ is one here, too. */
static int parse_path(const char *listen, const char *prefix, HfAddress *ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    if (*listen != '/') {
        if (*listen == '\0' || !prefix || *prefix != '/' || strchr(prefix, ':'))
            return -EINVAL;
        hf_text_addf(&path, "%s/", prefix);
    }
    hf_text_add(&path, listen);
    return path.failed ? -ENOMEM : hf_address_parse(hf_text_peek(&path), ret);
}

int hf_phpfpm_address(const char *listen, const char *prefix, HfAddress *ret)
{
    if (strchr(listen, ':'))
        return parse_inet(listen, ret);
    if (is_number(listen))
        return hf_address_parse(listen, ret);
    return parse_path(listen, prefix, ret);
}
