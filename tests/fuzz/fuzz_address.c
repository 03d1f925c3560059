/* SPDX-License-Identifier: MIT */
/* Addresses: as holdfast writes them, as php-fpm does, and as the kernel does. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/settings.h"
#include "fuzz.h"
#include "service/php_fpm/php_fpm.h"

static bool same(const HfAddress *a, const HfAddress *b)
{
    return a->kind == b->kind && a->port == b->port && a->scope == b->scope &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && strcmp(a->name, b->name) == 0;
}

/* Returns what hf_address_parse does, which leaves ret alone on failure. */
static int parse(const char *text, HfAddress *ret)
{
    HfAddress untouched;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(ret, &untouched, sizeof(*ret));
    int r = hf_address_parse(text, ret);
    CHECK(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
    CHECK(r == 0 || memcmp(ret, &untouched, sizeof(*ret)) == 0);
    return r;
}

static void check_name(const HfAddress *address)
{
    static const char known[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    HF_CLEANUP_FREE char *name = NULL;

    CHECK(hf_name_of_address(address, &name) == 0);
    CHECK(*name != '\0' && *name != '.');
    CHECK(strspn(name, known) == strlen(name) && strlen(name) <= HF_NAME_MAX);
}

static void check_sockaddr(const HfAddress *address)
{
    bool none = address->kind == HF_ADDRESS_HOST || address->kind == HF_ADDRESS_NONE;
    struct sockaddr_storage sockaddr;
    socklen_t length;
    HfAddress back;

    int r = hf_address_to_sockaddr(address, &sockaddr, &length);
    CHECK(r == (none ? -EINVAL : 0));
    if (r < 0)
        return;
    CHECK(length <= sizeof(sockaddr));
    CHECK(hf_address_from_sockaddr(&sockaddr, length, &back) == 0);
    HfAddress known = *address;
    if (address->kind == HF_ADDRESS_INET6) /* an interface is still to be looked up */
        memset(known.name, 0, sizeof(known.name));
    CHECK(address->kind == HF_ADDRESS_PORT ? hf_address_equal(&back, address)
                                           : same(&back, &known));
}

static void check_value(const HfAddress *address)
{
    char text[HF_ADDRESS_TEXT_MAX];
    HfAddress back;

    CHECK(address->kind > HF_ADDRESS_NONE && address->kind <= HF_ADDRESS_ABSTRACT);
    memset(text, 0x5a, sizeof(text));
    hf_address_format(address, text);
    CHECK(memchr(text, 0, sizeof(text)));
    CHECK(*text != '\0' && is_clean(text));
    CHECK(parse(text, &back) == 0);
    CHECK(same(&back, address));
    CHECK(hf_address_equal(address, &back));
    check_sockaddr(address);
    check_name(address);
}

static void check_key(const HfAddress *address)
{
    char key[HF_ADDRESS_TEXT_MAX];
    int r = 0;

    for (unsigned i = 0; r == 0; i++) {
        r = hf_phpfpm_key(address, i, key);
        CHECK(r == 0 || r == -ENOENT || r == -EINVAL);
        CHECK(i > 0 || r != -ENOENT);
        CHECK(i < 3);
        if (r < 0)
            break;
        CHECK(memchr(key, 0, sizeof(key)));
        CHECK(*key != '\0' && is_clean(key) && !strpbrk(key, ",="));
        CHECK(address->kind == HF_ADDRESS_UNIX || !strpbrk(key, "[]%"));
    }
}

static void check_phpfpm(const char *text, const char *prefix)
{
    HfAddress address;
    int r = hf_phpfpm_address(text, prefix, &address);

    CHECK(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
    if (r < 0)
        return;
    CHECK(address.kind != HF_ADDRESS_ABSTRACT);
    CHECK(address.kind != HF_ADDRESS_UNIX || !strchr(address.name, ':'));
    check_value(&address);
    check_key(&address);
}

/* The bytes as the kernel's answer, of every family. */
static void check_kernel(const uint8_t *data, size_t size)
{
    static const sa_family_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_UNSPEC};
    struct sockaddr_storage sockaddr = {0};
    char text[HF_ADDRESS_TEXT_MAX];
    HfAddress address;

    if (size > sizeof(sockaddr))
        size = sizeof(sockaddr);
    if (size > 0)
        memcpy(&sockaddr, data, size);
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
        sockaddr.ss_family = families[i];
        int r = hf_address_from_sockaddr(&sockaddr, (socklen_t)size, &address);
        CHECK(r == 0 || r == -EINVAL || r == -EAFNOSUPPORT);
        if (r < 0)
            continue;
        memset(text, 0x5a, sizeof(text));
        hf_address_format(&address, text);
        CHECK(memchr(text, 0, sizeof(text)));
        CHECK(hf_address_equal(&address, &address));
        check_name(&address);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    HF_CLEANUP_FREE char *text = input_string(&input);
    HfAddress address;

    if (parse(text, &address) == 0) {
        check_value(&address);
        check_key(&address);
    }
    check_phpfpm(text, NULL);
    check_phpfpm(text, "relative");
    check_phpfpm(text, "/usr");
    check_kernel(data, size);
    return 0;
}
