#include "sys/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/parse.h"

#define ENTRY_FIRST 1024
/* A group's entry lists all its members. */
#define ENTRY_MAX ((size_t)1 << 20)

/* What the lookups return when there is no such entry: see the notes in getpwnam(3). */
static int translate(int error, bool found)
{
    if (found)
        return 0;
    if (error == 0 || error == ESRCH || error == EBADF || error == EPERM)
        return -ENOENT;
    return -error;
}

/* By number when name is NULL. */
static int find_user(const char *name, uid_t uid, uid_t *ret_uid, gid_t *ret_gid)
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
            if (r < 0)
                return r;
            *ret_uid = found->pw_uid;
            *ret_gid = found->pw_gid;
            return 0;
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

/* Returns 0, -EINVAL (a name), or -ERANGE; (uid_t) -1 means "leave" to chown(2) and is no id. */
static int parse_id(const char *text, uint32_t *ret)
{
    uint64_t id;
    int r = hf_parse_uint(text, UINT32_MAX - 1, &id);
    if (r < 0)
        return r;
    *ret = (uint32_t)id;
    return 0;
}

int hf_account_user(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
    uid_t uid = (uid_t)-1;
    gid_t gid = (gid_t)-1;
    int r = parse_id(name, &uid);

    if (r == -EINVAL)
        r = find_user(name, 0, &uid, &gid);
    else if (r == 0 && ret_gid) {
        r = find_user(NULL, uid, &uid, &gid);
        if (r == -ENOENT)
            r = 0;
    }
    if (r < 0)
        return r;
    *ret_uid = uid;
    if (ret_gid)
        *ret_gid = gid;
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
