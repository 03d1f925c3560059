#include "run/listener.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "config/settings.h"
#include "kernel/file.h"
#include "kernel/owner.h"
#include "loop/names.h"
#include "run/resolved_listener.h"

#define PID_BYTES      32  /* of a lock */
#define PARKED_MINIMUM 128 /* above what a child's layout usually takes */

static bool runs_as(const char *base, const char *instance, pid_t pid)
{
    HF_CLEANUP_TEXT HfText path = {0};
    HF_CLEANUP_FREE char *text = NULL;
    uint64_t holder;

    hf_text_addf(&path, "%s/%s/lock", base, instance);
    if (hf_file_read(hf_text_peek(&path), PID_BYTES, &text, NULL) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    return hf_parse_uint(text, INT32_MAX, &holder) == 0 && (pid_t)holder == pid;
}

/* The instance of holdfast that is process pid, by its lock; NULL: it is none of this user's. */
static char *find_instance(pid_t pid)
{
    HF_CLEANUP_FREE char *base = NULL;
    char *name = NULL;

    DIR *directory = hf_name_of_runtime_base(&base) < 0 ? NULL : opendir(base);
    for (const struct dirent *entry; !name && directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && runs_as(base, entry->d_name, pid))
            name = strdup(entry->d_name);
    if (directory)
        closedir(directory);
    return name;
}

/* What another instance holds it lets go by a reload: nobody has to stop it. */
static void explain_owner(const char *label, const HfOwner *owner, HfText *error)
{
    HF_CLEANUP_FREE char *instance = find_instance(owner->pid);

    if (owner->pid == getpid()) {
        hf_text_addf(
            error,
            "%s overlaps an address that this instance holds already; drop one of them, or "
            "give [::] the key ipv6-only=yes, so that it leaves IPv4 to the other",
            label);
        return;
    }
    hf_text_addf(error, "%s is in use by %s", label, owner->program);
    if (instance)
        hf_text_addf(error, ", instance %s", instance);
    hf_text_addf(error, " (pid %d, since ", (int)owner->pid);
    hf_text_add_age(error, owner->age);
    if (instance)
        hf_text_addf(error,
                     "); take it out of that instance's settings, and \"holdfast reload "
                     "--name=%s\" releases it, or choose another address",
                     instance);
    else
        hf_text_add(error, "); stop it, or choose another address");
}

static void explain_bind(const HfListenerSpec *spec, const char *label, int r, HfSocketStage stage,
                         const HfSocketRequest *request, HfText *error)
{
    HfOwner owner;

    if (r == -EADDRINUSE && hf_owner_find(request->address, request->address_length, &owner) == 0) {
        explain_owner(label, &owner, error);
    } else if (r == -EADDRINUSE) {
        hf_text_addf(error, "%s is in use by a process that cannot be seen from here", label);
    } else if (r == -ENOTSOCK) {
        hf_text_addf(error, "%s is a file, not a socket; move it away, or choose another path",
                     label);
    } else if (stage == HF_LISTENER_BIND && r == -ENOENT && hf_address_is_path(&spec->address)) {
        hf_text_addf(error, "%s cannot be bound: its directory does not exist; create it", label);
    } else if (r == -EADDRNOTAVAIL) {
        hf_text_addf(error, "%s cannot be bound: this machine does not have that address", label);
    } else if (stage == HF_LISTENER_BIND && r == -EACCES && !hf_address_is_path(&spec->address)) {
        hf_text_addf(error, "%s cannot be bound: ports below 1024 need CAP_NET_BIND_SERVICE",
                     label);
    } else {
        static const char *const stages[] = {
            [HF_LISTENER_SOCKET] = "no socket can be made for it",
            [HF_LISTENER_PATH] = "what stands there cannot be replaced",
            [HF_LISTENER_BIND] = "it cannot be bound",
            [HF_LISTENER_MODE] = "its mode cannot be set",
            [HF_LISTENER_OWNER] = "its owner cannot be set",
            [HF_LISTENER_ACL] = "its access control list cannot be set",
            [HF_LISTENER_LISTEN] = "it cannot listen",
        };
        hf_text_addf(error, "%s: %s: %s", label, stages[stage], strerror(-r));
    }
}

static bool try_next(const HfAddress *address, int r)
{
    if (address->kind == HF_ADDRESS_PORT)
        return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL || r == -EADDRINUSE;
    return address->kind == HF_ADDRESS_HOST;
}

HfListener *hf_listener_new(void)
{
    HfListener *held = calloc(1, sizeof(*held));

    if (!held)
        return NULL;
    held->references = 1;
    held->fd = -1;
    hf_listener_spec_init(&held->spec);
    return held;
}

int hf_listener_revive(HfListener *held, int fd)
{
    HF_CLEANUP_FD int owned = fd;
    struct sockaddr_storage bound;
    char label[HF_ADDRESS_TEXT_MAX];
    struct stat status;
    unsigned length;

    hf_address_format(&held->spec.address, label);
    int r = hf_string_set(&held->label, label);
    if (r >= 0 && !held->spec.name)
        r = hf_name_of_address(&held->spec.address, &held->spec.name);
    if (r >= 0)
        r = hf_socket_verify(fd);
    if (r >= 0)
        r = hf_listener_name(fd, &bound, &length);
    if (r >= 0)
        r = hf_address_from_sockaddr(&bound, length, &held->bound);
    if (r >= 0 && fstat(fd, &status) < 0)
        r = -errno;
    if (r < 0)
        return r;
    held->socket = status.st_ino;
    held->fd = hf_fd_steal(&owned);
    return 0;
}

/* Out of the way of the numbers that a child's layout uses, if there is room. */
static int park(int fd)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= 2 * PARKED_MINIMUM)
        return fd;
    return hf_fd_raise(fd, PARKED_MINIMUM);
}

/* Makes fd a held listener; consumes it also on failure. */
static int hold(int fd, const HfListenerSpec *spec, const HfSocketInode *inode, HfListener **ret)
{
    HF_CLEANUP_FD int parked = park(fd);
    HfListener *held = hf_listener_new();

    int r = parked < 0 ? parked : held ? 0 : -ENOMEM;
    if (r >= 0)
        r = hf_listener_spec_copy(spec, &held->spec);
    if (r >= 0)
        r = hf_listener_revive(held, hf_fd_steal(&parked));
    if (r < 0) {
        if (inode->inode != 0)
            hf_socket_unlink(spec->address.name, inode);
        hf_listener_unref(held);
        return r;
    }
    held->inode = *inode;
    *ret = held;
    return 0;
}

int hf_listener_bind(const HfListenerSpec *spec, bool raised, HfListener **ret, HfText *error)
{
    HF_CLEANUP_TARGET HfResolvedListener target = {0};
    HfSocketStage stage = HF_LISTENER_SOCKET;
    HfSocketInode inode = {0};
    int fd = -1;

    int r = hf_resolved_listener_find(spec, &target, error);
    if (r < 0)
        return r;
    if (raised)
        target.request.backlog = hf_socket_somaxconn();
    for (int i = 0; i < target.n; i++) {
        hf_resolved_listener_aim(&target, i);
        r = hf_socket_bind(&target.request, &fd, &inode, &stage);
        if (r >= 0 || !try_next(&spec->address, r))
            break;
    }
    if (r < 0) {
        explain_bind(spec, target.label, r, stage, &target.request, error);
        return r;
    }
    r = hold(fd, spec, &inode, ret);
    if (r < 0)
        hf_text_addf(error, "%s cannot be held: %s", target.label, strerror(-r));
    return r;
}

int hf_listener_probe(const HfListenerSpec *spec, HfText *error)
{
    HF_CLEANUP_TARGET HfResolvedListener target = {0};
    HfSocketStage stage = HF_LISTENER_BIND;
    HfOwner owner;

    int r = hf_resolved_listener_find(spec, &target, error);
    if (r < 0)
        return r;
    for (int i = 0; i < target.n; i++) {
        hf_resolved_listener_aim(&target, i);
        r = hf_socket_probe(&target.request, &stage);
        if (r >= 0 && !hf_address_is_path(&spec->address)) {
            int found =
                hf_owner_find(target.request.address, target.request.address_length, &owner);
            r = found == 0 || found == -EACCES ? -EADDRINUSE : 0;
        }
        if (r >= 0 && !hf_socket_can_have(target.request.address, target.request.address_length))
            r = -EADDRNOTAVAIL;
        if (r >= 0 || !try_next(&spec->address, r))
            break;
    }
    if (r < 0)
        explain_bind(spec, target.label, r, stage, &target.request, error);
    return r;
}

int hf_listener_receive(int fd, const char *name, HfListener **ret)
{
    HfListenerSpec spec;
    struct sockaddr_storage bound;
    unsigned length;

    hf_listener_spec_init(&spec);
    spec.backlog = 0; /* the .socket unit's */
    int r = hf_socket_verify(fd);
    if (r >= 0)
        r = hf_listener_name(fd, &bound, &length);
    if (r >= 0)
        r = hf_address_from_sockaddr(&bound, length, &spec.address);
    if (r < 0)
        return r;
    HF_CLEANUP_FREE char *copy = NULL;
    r = name && *name ? hf_string_set(&copy, name) : 0;
    if (r < 0)
        return r;
    spec.name = copy;
    r = hold(fd, &spec, &(HfSocketInode){0}, ret);
    if (r < 0)
        return r;
    (*ret)->received = true;
    return 0;
}

int hf_listener_take(int fd, const HfListenerSpec *spec, HfListener **ret)
{
    HfSocketInode inode = {0};
    HfListenerSpec bare;
    HF_CLEANUP_FD int owned = fd;

    /* backlog and rights are given it once the plan counts */
    hf_listener_spec_init(&bare);
    bare.address = spec->address;
    bare.name = spec->name;
    bare.backlog = 0;
    int r =
        hf_address_is_path(&spec->address) ? hf_socket_path_inode(spec->address.name, &inode) : 0;
    if (r >= 0)
        r = hold(hf_fd_steal(&owned), &bare, &(HfSocketInode){0}, ret);
    if (r < 0)
        return r;
    (*ret)->inode = inode;
    (*ret)->taken = true;
    return 0;
}

HfListener *hf_listener_ref(HfListener *held)
{
    held->references++;
    return held;
}

HfListener *hf_listener_unref(HfListener *held)
{
    if (!held || --held->references > 0)
        return NULL;
    bool stays = held->received || held->taken || held->stays;
    if (!stays && held->inode.inode != 0)
        hf_socket_unlink(held->spec.address.name, &held->inode);
    hf_fd_close(held->fd);
    hf_listener_spec_clear(&held->spec);
    free(held->label);
    free(held);
    return NULL;
}

/* Another name for the same path, or for the first address of a host that has been looked up. */
static bool is_alias(const HfListener *held, const HfListenerSpec *spec)
{
    struct sockaddr_storage addresses[HF_TARGET_ADDRESSES_MAX];
    unsigned lengths[HF_TARGET_ADDRESSES_MAX];
    HfAddress first;

    if (hf_address_is_path(&spec->address))
        return hf_address_is_path(&held->bound) &&
               hf_socket_path_same(held->bound.name, spec->address.name);
    return spec->address.kind == HF_ADDRESS_HOST && spec->names &&
           hf_names_host(spec->names, spec->address.name, spec->address.port, addresses, lengths,
                         HF_TARGET_ADDRESSES_MAX) > 0 &&
           hf_address_from_sockaddr(&addresses[0], lengths[0], &first) == 0 &&
           hf_address_equal(&first, &held->bound);
}

HfListener *hf_listener_find(HfListener *const *list, size_t n, const HfListenerSpec *spec)
{
    for (size_t i = 0; i < n; i++)
        if (hf_address_equal(&list[i]->spec.address, &spec->address) ||
            hf_address_equal(&list[i]->bound, &spec->address))
            return list[i];
    for (size_t i = 0; i < n; i++)
        if (list[i]->received && spec->name && strcmp(list[i]->spec.name, spec->name) == 0)
            return list[i];
    for (size_t i = 0; i < n; i++)
        if (is_alias(list[i], spec))
            return list[i];
    return NULL;
}

void hf_listener_raise_backlog(HfListener *held, bool raised)
{
    if (held->received)
        return;
    bool maximum = raised || held->spec.backlog == HF_BACKLOG_MAXIMUM;
    hf_socket_set_backlog(held->fd, maximum ? hf_socket_somaxconn() : held->spec.backlog);
}

static bool differ(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") != 0;
}

static bool acls_differ(const HfListenerSpec *a, const HfListenerSpec *b)
{
    return differ(a->acl_users, b->acl_users) || differ(a->acl_groups, b->acl_groups);
}

static bool rights_differ(const HfListenerSpec *a, const HfListenerSpec *b)
{
    return a->mode != b->mode || differ(a->owner, b->owner) || differ(a->group, b->group) ||
           acls_differ(a, b);
}

static int secure(const HfListener *held, const HfListenerSpec *spec, HfText *error)
{
    HF_CLEANUP_TARGET HfResolvedListener target = {0};
    HfSocketStage stage;

    int r = hf_resolved_listener_find(spec, &target, error);
    if (r < 0)
        return r;
    target.request.replace_acl = acls_differ(&held->spec, spec);
    r = hf_socket_secure(&target.request, &held->inode, &stage);
    if (r < 0)
        explain_bind(spec, target.label, r, stage, &target.request, error);
    return r;
}

int hf_listener_respecify(HfListener *held, const HfListenerSpec *spec, bool raised, HfText *error)
{
    HfListenerSpec copy;

    if (held->received)
        return spec->name ? hf_string_set(&held->spec.name, spec->name) : 0;
    int r = hf_listener_spec_copy(spec, &copy);
    if (r < 0)
        return r;
    copy.address = held->spec.address;
    if (held->inode.inode != 0 && rights_differ(&held->spec, spec))
        r = secure(held, spec, error);
    bool backlog = held->spec.backlog != spec->backlog;
    hf_listener_spec_clear(&held->spec);
    held->spec = copy;
    if (backlog)
        hf_listener_raise_backlog(held, raised);
    return r;
}

int hf_listener_steer(HfListener *held, unsigned side)
{
    (void)held;
    return side == 0 ? 0 : -EOPNOTSUPP;
}

int hf_listener_queue(HfListener *held, HfQueue *ret)
{
    int r = hf_queue_read(held->fd, ret);

    if (r == 0 && ret->depth > held->highest)
        held->highest = ret->depth;
    return r;
}

static bool is_tcp(const HfListener *held)
{
    return held->bound.kind != HF_ADDRESS_UNIX && held->bound.kind != HF_ADDRESS_ABSTRACT;
}

bool hf_listener_can_be_released(const HfListener *held)
{
    return is_tcp(held) || held->inode.inode != 0;
}

int hf_listener_release(HfListener *held)
{
    if (!is_tcp(held))
        return hf_socket_unlink(held->spec.address.name, &held->inode);
    return hf_socket_shut_down(held->fd);
}

bool hf_listener_is_lost(const HfListener *held)
{
    HfSocketInode there = {0};

    if (held->received)
        return false;
    if (held->inode.inode == 0)
        return is_tcp(held) && hf_socket_verify(held->fd) == -EINVAL;
    return hf_socket_path_inode(held->spec.address.name, &there) < 0 ||
           there.device != held->inode.device || there.inode != held->inode.inode;
}

void hf_listener_array_clear(HfListener ***list, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        hf_listener_unref((*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}
