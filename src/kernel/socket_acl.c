#include "kernel/socket_acl.h"

#include <acl/libacl.h>
#include <errno.h>
#include <sys/acl.h>
#include <sys/stat.h>

static void free_acl(acl_t *acl)
{
    if (*acl)
        acl_free(*acl);
}

/* uid_t and gid_t are the same type to libacl: id_t. */
static int entry_is(acl_entry_t entry, acl_tag_t tag, id_t id)
{
    acl_tag_t found;

    if (acl_get_tag_type(entry, &found) < 0)
        return -errno;
    if (found != tag)
        return 0;
    id_t *qualifier = acl_get_qualifier(entry);
    if (!qualifier)
        return -errno;
    int same = *qualifier == id;
    acl_free(qualifier);
    return same;
}

/* A directory's default ACL may have given the file an entry for the same user already. */
static int find_entry(acl_t acl, acl_tag_t tag, id_t id, acl_entry_t *ret)
{
    acl_entry_t entry;

    int r = acl_get_entry(acl, ACL_FIRST_ENTRY, &entry);
    for (; r > 0; r = acl_get_entry(acl, ACL_NEXT_ENTRY, &entry)) {
        int same = entry_is(entry, tag, id);
        if (same != 0) {
            if (same > 0)
                *ret = entry;
            return same;
        }
    }
    return r < 0 ? -errno : 0;
}

static int grant(acl_t *acl, acl_tag_t tag, id_t id)
{
    acl_entry_t entry;
    acl_permset_t permissions;

    int r = find_entry(*acl, tag, id, &entry);
    if (r < 0)
        return r;
    if (r == 0 && (acl_create_entry(acl, &entry) < 0 || acl_set_tag_type(entry, tag) < 0 ||
                   acl_set_qualifier(entry, &id) < 0))
        return -errno;
    if (acl_get_permset(entry, &permissions) < 0 || acl_add_perm(permissions, ACL_READ) < 0 ||
        acl_add_perm(permissions, ACL_WRITE) < 0)
        return -errno;
    return 0;
}

int hf_socket_acl_drop(const char *file)
{
    struct stat found;

    if (acl_extended_file(file) <= 0)
        return 0;
    if (stat(file, &found) < 0)
        return -errno;
    __attribute__((cleanup(free_acl))) acl_t acl = acl_from_mode(found.st_mode);
    return !acl || acl_set_file(file, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
}

int hf_socket_acl_set(const char *file, const HfSocketRequest *request)
{
    __attribute__((cleanup(free_acl))) acl_t acl = acl_get_file(file, ACL_TYPE_ACCESS);
    int r = acl ? 0 : -errno;

    for (size_t i = 0; i < request->n_acl_users && r >= 0; i++)
        r = grant(&acl, ACL_USER, request->acl_users[i]);
    for (size_t i = 0; i < request->n_acl_groups && r >= 0; i++)
        r = grant(&acl, ACL_GROUP, request->acl_groups[i]);
    if (r < 0)
        return r;
    if (acl_calc_mask(&acl) < 0 || acl_set_file(file, ACL_TYPE_ACCESS, acl) < 0)
        return -errno;
    return 0;
}
