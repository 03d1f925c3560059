/* SPDX-License-Identifier: MIT */
#include "kernel/socket_path.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"
#include "kernel/sock_diag.h"

/* ---- access control lists ---- */

#ifdef HF_WITHOUT_ACL
#define ACL_ATTRIBUTE "system.posix_acl_access"
#define ACL_BYTES_MAX 4096

static int drop_acl(const char *file)
{
    if (removexattr(file, ACL_ATTRIBUTE) < 0 && errno != ENODATA && errno != EOPNOTSUPP)
        return -errno;
    return 0;
}

static int copy_acl(const char *like, const char *file)
{
    char list[ACL_BYTES_MAX];

    ssize_t n = getxattr(like, ACL_ATTRIBUTE, list, sizeof(list));
    if (n < 0)
        return errno == ENODATA || errno == EOPNOTSUPP ? drop_acl(file) : -errno;
    return setxattr(file, ACL_ATTRIBUTE, list, (size_t)n, 0) < 0 ? -errno : 0;
}

static int set_acl(const char *file, const HfSocketRequest *request)
{
    (void)file;
    (void)request;
    return -EOPNOTSUPP;
}
#else
#include <acl/libacl.h>
#include <sys/acl.h>

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

/* The directory's default ACL may have given the file an entry for this user already. */
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

/* Leaves file with only its mode. Returns 0 where there are no ACLs. */
static int drop_acl(const char *file)
{
    struct stat found;

    if (acl_extended_file(file) <= 0)
        return 0;
    if (stat(file, &found) < 0)
        return -errno;
    __attribute__((cleanup(free_acl))) acl_t acl = acl_from_mode(found.st_mode);
    return !acl || acl_set_file(file, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
}

static int copy_acl(const char *like, const char *file)
{
    if (acl_extended_file(like) <= 0)
        return drop_acl(file); /* one may come from the directory's default ACL */
    __attribute__((cleanup(free_acl))) acl_t acl = acl_get_file(like, ACL_TYPE_ACCESS);
    return !acl || acl_set_file(file, ACL_TYPE_ACCESS, acl) < 0 ? -errno : 0;
}

/* Like php-fpm's listen.acl_users and listen.acl_groups: read and write; the mask becomes the union
 * of the group class. -EOPNOTSUPP: the file system has no ACLs. */
static int set_acl(const char *file, const HfSocketRequest *request)
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
#endif

/* ---- sockets ---- */

static bool is_socket(const struct stat *st)
{
    return (st->st_mode & S_IFMT) == S_IFSOCK;
}

static HfSocketInode inode_of(const struct stat *st)
{
    return (HfSocketInode){.device = st->st_dev, .inode = st->st_ino};
}

static bool inodes_equal(const HfSocketInode *a, const HfSocketInode *b)
{
    return a->device == b->device && a->inode == b->inode;
}

void hf_socket_path_of(const HfSocketRequest *request, char ret[static HF_LISTENER_PATH_MAX])
{
    const struct sockaddr_un *address = (const struct sockaddr_un *)request->address;
    const size_t start = offsetof(struct sockaddr_un, sun_path);

    _Static_assert(HF_LISTENER_PATH_MAX > sizeof(address->sun_path), "room for the NUL");
    memset(ret, 0, HF_LISTENER_PATH_MAX);
    if (address->sun_family == AF_UNIX && request->address_length > start &&
        request->address_length <= sizeof(*address))
        memcpy(ret, address->sun_path, request->address_length - start);
}

bool hf_socket_path_same(const char *a, const char *b)
{
    const char *names[] = {strrchr(a, '/'), strrchr(b, '/')};
    char directories[2][HF_LISTENER_PATH_MAX];
    struct stat found[2];

    if (strcmp(a, b) == 0)
        return true;
    if (!names[0] || !names[1] || strcmp(names[0], names[1]) != 0)
        return false;
    snprintf(directories[0], sizeof(*directories), "%.*s/", (int)(names[0] - a), a);
    snprintf(directories[1], sizeof(*directories), "%.*s/", (int)(names[1] - b), b);
    return stat(directories[0], &found[0]) == 0 && stat(directories[1], &found[1]) == 0 &&
           found[0].st_dev == found[1].st_dev && found[0].st_ino == found[1].st_ino;
}

/* Returns 0 if nobody answers there, -EADDRINUSE, or negative errno. */
static int probe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    HF_CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path)));
    do
        r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    while (r < 0 && errno == EINTR);
    return r < 0 && (errno == ECONNREFUSED || errno == ENOENT) ? 0 : -EADDRINUSE;
}

typedef struct Holder {
    struct stat file;
    bool found;
} Holder;

static bool visit(const HfSockDiag *socket, void *userdata)
{
    Holder *holder = userdata;
    holder->found = hf_sock_diag_is_file(socket, holder->file.st_dev, holder->file.st_ino);
    return !holder->found;
}

/* A socket that is bound and about to listen refuses connections as well. Connections accepted from
 * a listener that is gone have its path, too, but are in neither of these states. */
static bool is_about_to_listen(const struct stat *file)
{
    Holder holder = {.file = *file};

    return hf_sock_diag_unix(1u << TCP_CLOSE | 1u << TCP_LISTEN, visit, &holder) >= 0 &&
           holder.found;
}

/* What is there? Returns 0 (nothing), 1 and its inode (a dead socket), -EADDRINUSE or -ENOTSOCK. */
static int look(const char *path, HfSocketInode *ret)
{
    struct stat st;

    /* Whatever makes lstat(2) fail will make bind(2) fail, with the better reason. */
    if (lstat(path, &st) < 0)
        return 0;
    if (!is_socket(&st))
        return -ENOTSOCK;
    int r = probe(path);
    if (r < 0)
        return r;
    if (is_about_to_listen(&st))
        return -EADDRINUSE;
    *ret = inode_of(&st);
    return 1;
}

int hf_socket_path_clear(const char *path)
{
    HfSocketInode inode;

    int r = look(path, &inode);
    if (r <= 0)
        return r;
    r = hf_socket_unlink(path, &inode);
    if (r == -ESTALE)
        return -EADDRINUSE;
    return r == -ENOENT ? 0 : r;
}

int hf_socket_probe(const HfSocketRequest *request, HfSocketStage *ret_stage)
{
    char path[HF_LISTENER_PATH_MAX];
    HfSocketInode inode;

    hf_socket_path_of(request, path);
    if (path[0] == '\0')
        return 0;
    int r = look(path, &inode);
    if (r < 0) {
        *ret_stage = r == -ENOTSOCK ? HF_LISTENER_PATH : HF_LISTENER_BIND;
        return r;
    }
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path] = '\0';
    if (faccessat(AT_FDCWD, slash ? path : ".", W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    r = -errno;
    *ret_stage = HF_LISTENER_BIND;
    return r;
}

int hf_socket_path_inode(const char *path, HfSocketInode *ret)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR ? -EADDRINUSE : -errno;
    if (!is_socket(&st))
        return -EADDRINUSE;
    *ret = inode_of(&st);
    return 0;
}

int hf_socket_path_is(const char *path, const HfSocketInode *inode)
{
    HfSocketInode found = {0};

    int r = hf_socket_path_inode(path, &found);
    if (r < 0)
        return r == -EADDRINUSE ? 0 : r;
    return inodes_equal(&found, inode);
}

/* Owner first, since chown(2) clears mode bits. */
static int copy_rights(const char *like, int fd, const char *file, HfSocketStage *stage)
{
    struct stat from;
    struct stat to;

    *stage = HF_LISTENER_OWNER;
    if (lstat(like, &from) < 0 || fstat(fd, &to) < 0 ||
        ((from.st_uid != to.st_uid || from.st_gid != to.st_gid) &&
         fchownat(fd, "", from.st_uid, from.st_gid, AT_EMPTY_PATH) < 0))
        return -errno;
    *stage = HF_LISTENER_MODE;
    if (chmod(file, from.st_mode & 07777) < 0)
        return -errno;
    *stage = HF_LISTENER_ACL;
    return copy_acl(like, file);
}

/* Through /proc: by now path may be another file, and a socket's own fchmod(2) does not reach it.
 */
static int secure_file(int fd, const HfSocketRequest *request, HfSocketStage *stage)
{
    char file[64];
    snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);

    if (request->like)
        return copy_rights(request->like, fd, file, stage);
    *stage = HF_LISTENER_ACL;
    int r = request->replace_acl ? drop_acl(file) : 0;
    if (r < 0)
        return r;
    *stage = HF_LISTENER_MODE;
    if (request->has_mode && chmod(file, request->mode) < 0)
        return -errno;
    if (request->n_acl_users > 0 || request->n_acl_groups > 0) {
        *stage = HF_LISTENER_ACL;
        return set_acl(file, request);
    }
    *stage = HF_LISTENER_OWNER;
    /* without privilege the owner may only "change" them to what they are */
    if ((request->uid != (uid_t)-1 || request->gid != (gid_t)-1) &&
        fchownat(fd, "", request->uid, request->gid, AT_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

int hf_socket_path_secure(const char *path, const HfSocketInode *inode,
                          const HfSocketRequest *request, HfSocketStage *ret_stage)
{
    HfSocketStage stage = HF_LISTENER_BIND;
    struct stat st;
    int r = 0;

    HF_CLEANUP_FD int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        r = errno == ENOENT ? -EADDRINUSE : -errno;
    if (r >= 0) {
        HfSocketInode found = inode_of(&st);
        r = inodes_equal(&found, inode) ? 0 : -EADDRINUSE;
    }
    if (r >= 0)
        r = secure_file(fd, request, &stage);
    if (r < 0)
        *ret_stage = stage;
    return r;
}

int hf_socket_unlink(const char *path, const HfSocketInode *inode)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -errno;
    HfSocketInode found = inode_of(&st);
    if (!is_socket(&st) || !inodes_equal(&found, inode))
        return -ESTALE;
    return unlink(path) < 0 ? -errno : 0;
}
