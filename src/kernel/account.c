/* SPDX-License-Identifier: MIT */
#include "kernel/account.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"

#define ENTRY_FIRST 1024
/* A group's entry lists all its members. */
#define ENTRY_MAX ((size_t)1 << 20)

/* Treats the errors that getpwnam(3) lists under notes as "no such entry". */
static int translate(int error, bool found)
{
    if (found)
        return 0;
    if (error == 0 || error == ESRCH || error == EBADF || error == EPERM)
        return -ENOENT;
    return -error;
}

void hf_account_clear(HfAccount *account)
{
    hf_freep(&account->name);
    hf_freep(&account->home);
}

static int take_entry(const struct passwd *entry, HfAccount *ret)
{
    HfAccount account = {.uid = entry->pw_uid, .gid = entry->pw_gid};

    if (hf_string_set(&account.name, entry->pw_name) < 0 ||
        hf_string_set(&account.home, entry->pw_dir) < 0) {
        hf_account_clear(&account);
        return -ENOMEM;
    }
    *ret = account;
    return 0;
}

/* By number when name is NULL. */
static int find_user(const char *name, uid_t uid, HfAccount *ret)
{
    for (size_t size = ENTRY_FIRST; size <= ENTRY_MAX;) {
        HF_CLEANUP_FREE char *buffer = hf_allocate(size, 1);
        struct passwd entry;
        struct passwd *found = NULL;

        if (!buffer)
            return -ENOMEM;
        int error = name ? getpwnam_r(name, &entry, buffer, size, &found)
                         : getpwuid_r(uid, &entry, buffer, size, &found);
        if (error == ERANGE)
            size *= 2;
        else if (error != EINTR) {
            int r = translate(error, found != NULL);
            return r < 0 ? r : take_entry(found, ret);
        }
    }
    return -ERANGE;
}

static int find_group(const char *name, gid_t *ret)
{
    for (size_t size = ENTRY_FIRST; size <= ENTRY_MAX;) {
        HF_CLEANUP_FREE char *buffer = hf_allocate(size, 1);
        struct group entry;
        struct group *found = NULL;

        if (!buffer)
            return -ENOMEM;
        int error = getgrnam_r(name, &entry, buffer, size, &found);
        if (error == ERANGE)
            size *= 2;
        else if (error != EINTR) {
            int r = translate(error, found != NULL);
            if (r < 0)
                return r;
            *ret = found->gr_gid;
            return 0;
        }
    }
    return -ERANGE;
}

/* Returns 0, -EINVAL (a name), or -ERANGE; (uid_t) -1 means "leave" to chown(2) and is not a valid
 * id. */
static int parse_id(const char *text, uint32_t *ret)
{
    uint64_t id;
    int r = hf_parse_uint(text, UINT32_MAX - 1, &id);
    if (r < 0)
        return r;
    *ret = (uint32_t)id;
    return 0;
}

int hf_account_find(const char *name, HfAccount *ret)
{
    uint32_t uid;
    int r = parse_id(name, &uid);

    if (r == -EINVAL)
        return find_user(name, 0, ret);
    if (r < 0)
        return r;
    r = find_user(NULL, uid, ret);
    if (r != -ENOENT)
        return r;
    *ret = (HfAccount){.uid = uid, .gid = (gid_t)-1};
    return 0;
}

int hf_account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
    HfAccount account;
    uint32_t uid;

    if (!ret_gid && parse_id(name, &uid) == 0) { /* a number needs no entry */
        *ret_uid = uid;
        return 0;
    }
    int r = hf_account_find(name, &account);
    if (r < 0)
        return r;
    *ret_uid = account.uid;
    if (ret_gid)
        *ret_gid = account.gid;
    hf_account_clear(&account);
    return 0;
}

int hf_account_group(const char *name, gid_t *ret_gid)
{
    gid_t gid;
    int r = parse_id(name, &gid);

    if (r == -EINVAL)
        r = find_group(name, &gid);
    if (r < 0)
        return r;
    *ret_gid = gid;
    return 0;
}

static int translate_lookup(int error)
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
    int r = translate_lookup(getaddrinfo(host, NULL, &hints, &list));
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
