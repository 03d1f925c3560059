/* SPDX-License-Identifier: MIT */
#include "run/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/memory.h"
#include "base/text.h"
#include "config/settings.h"
#include "kernel/owner.h"
#include "loop/names.h"
#include "run/resolved_listener.h"

#define PARKED_MINIMUM 128 /* above what a child's layout usually takes */

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
    held->fds[0] = held->fds[1] = -1;
    hf_listener_spec_init(&held->spec);
    return held;
}

static bool is_tcp(const HfListener *held)
{
    return hf_address_is_tcp(&held->bound);
}

static int put_socket(HfListener *held, unsigned side, int fd)
{
    HF_CLEANUP_FD int owned = fd;
    struct stat status;

    int r = hf_socket_type(fd);
    if (r >= 0 && fstat(fd, &status) < 0)
        r = -errno;
    if (r < 0)
        return r;
    held->sockets[side] = status.st_ino;
    held->fds[side] = hf_fd_steal(&owned);
    return 0;
}

static int name_after(HfListener *held, int fd)
{
    struct sockaddr_storage bound;
    char label[HF_ADDRESS_TEXT_MAX];
    unsigned length;

    hf_address_format(&held->spec.address, label);
    int r = hf_string_set(&held->label, label);
    if (r >= 0 && !held->spec.name)
        r = hf_name_of_address(&held->spec.address, &held->spec.name);
    if (r >= 0)
        r = hf_listener_name(fd, &bound, &length);
    if (r >= 0)
        r = hf_address_from_sockaddr(&bound, length, &held->bound);
    held->bound.type = held->spec.address.type;
    return r;
}

int hf_listener_revive(HfListener *held, unsigned side, int fd)
{
    HF_CLEANUP_FD int owned = fd;

    int r = side == held->first ? name_after(held, fd) : 0;
    return r < 0 ? r : put_socket(held, side, hf_fd_steal(&owned));
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
        r = hf_listener_revive(held, 0, hf_fd_steal(&parked));
    if (r < 0) {
        if (inode->inode != 0)
            hf_socket_unlink(spec->address.name, inode);
        hf_listener_unref(held);
        return r;
    }
    held->inodes[0] = *inode;
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
        hf_resolved_listener_explain(&target, spec, r, stage, error);
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
            int found = hf_owner_find_of(target.request.type, target.request.address,
                                         target.request.address_length, &owner);
            r = found == 0 || found == -EACCES ? -EADDRINUSE : 0;
        }
        if (r >= 0 && !hf_socket_can_have(&target.request))
            r = -EADDRNOTAVAIL;
        if (r >= 0 || !try_next(&spec->address, r))
            break;
    }
    if (r < 0)
        hf_resolved_listener_explain(&target, spec, r, stage, error);
    return r;
}

int hf_listener_receive(int fd, const char *name, HfListener **ret)
{
    HfListenerSpec spec;
    struct sockaddr_storage bound;
    unsigned length;

    hf_listener_spec_init(&spec);
    spec.backlog = 0; /* the .socket unit's */
    int type = hf_socket_type(fd);
    int r = type < 0 ? type : hf_listener_name(fd, &bound, &length);
    if (r >= 0)
        r = hf_address_from_sockaddr(&bound, length, &spec.address);
    if (r < 0)
        return r;
    spec.address.type = type == SOCK_STREAM ? 0 : type;
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
    (*ret)->inodes[0] = inode;
    (*ret)->taken = true;
    return 0;
}

HfListener *hf_listener_ref(HfListener *held)
{
    held->references++;
    return held;
}

/* ---- sides ---- */

int hf_hidden_path(const HfAddress *address, char ret[static HF_ADDRESS_TEXT_MAX])
{
    const char *path = address->name;
    const char *slash = strrchr(path, '/');
    int directory = slash ? (int)(slash + 1 - path) : 0;
    int n = snprintf(ret, HF_ADDRESS_TEXT_MAX, "%.*s.%s.2", directory, path, path + directory);

    return n < HF_LISTENER_PATH_MAX - 1 ? 0 : -ENAMETOOLONG;
}

/* Removes what of a unix path is ours, wherever the last switch has put it. */
static int unlink_side(const HfListener *held, unsigned side)
{
    char hidden[HF_ADDRESS_TEXT_MAX];

    if (held->inodes[side].inode == 0)
        return 0;
    int r = hf_socket_unlink(held->spec.address.name, &held->inodes[side]);
    return r < 0 && hf_listener_has_sides(held) && hf_hidden_path(&held->spec.address, hidden) == 0
               ? hf_socket_unlink(hidden, &held->inodes[side])
               : r;
}

const char *hf_listener_one_side(const HfAddress *address)
{
    char hidden[HF_ADDRESS_TEXT_MAX];

    if (address->type != 0)
        return "it is no stream socket";
    if (address->kind == HF_ADDRESS_ABSTRACT)
        return "an abstract name cannot be bound twice";
    if (address->kind == HF_ADDRESS_UNIX && hf_hidden_path(address, hidden) < 0)
        return "its path leaves no room for a hidden name beside it";
    return NULL;
}

static const char *explain_pair(const HfListener *held, int r)
{
    if (r == -EADDRINUSE && is_tcp(held))
        return "it is another user's socket, or others listen there as well";
    if (r == -EADDRINUSE)
        return "somebody listens at the hidden name beside its path";
    return "a second socket cannot be bound there";
}

static int bind_second(HfListener *held, unsigned side, int *ret_fd, HfSocketInode *ret_inode)
{
    char hidden[HF_ADDRESS_TEXT_MAX];
    int fd;

    int r = is_tcp(held) ? hf_steer_pair_tcp(held->fds[side], &fd)
                         : hf_hidden_path(&held->spec.address, hidden);
    if (r >= 0 && !is_tcp(held))
        r = hf_steer_pair_path(held->fds[side], held->spec.address.name, hidden, &fd, ret_inode);
    if (r < 0)
        return r;
    *ret_fd = park(fd);
    return *ret_fd < 0 ? *ret_fd : 0;
}

/* Is there a second one already, at its place? */
static bool is_paired(const HfListener *held, unsigned side)
{
    char hidden[HF_ADDRESS_TEXT_MAX];
    HfSocketInode found;

    if (!hf_listener_has_sides(held))
        return false;
    return is_tcp(held) ||
           (hf_hidden_path(&held->spec.address, hidden) == 0 &&
            hf_socket_path_inode(hidden, &found) == 0 && found.inode == held->inodes[!side].inode &&
            found.device == held->inodes[!side].device);
}

static void explain_one_side(HfListener *held, const char *why, int error)
{
    const HfLogFields fields = {.listener = held->label, .error = error};

    if (held->one_side != why && error != -EADDRINUSE && error < 0)
        hf_log(LOG_WARNING, &fields, "%s has one side: %s", held->label, why);
    held->one_side = why;
}

#define SWAP(pair)                                                                                 \
    do {                                                                                           \
        __typeof__((pair)[0]) one = (pair)[0];                                                     \
        (pair)[0] = (pair)[1];                                                                     \
        (pair)[1] = one;                                                                           \
    } while (0)
void hf_listener_swap_sides(HfListener *held)
{
    SWAP(held->inodes);
    SWAP(held->sockets);
    SWAP(held->fds);
}

/* Which socket is which, for a holdfast that copies them. */
static void note_sides(const HfListener *held)
{
    for (unsigned side = 0; is_tcp(held) && side < HF_SIDES; side++)
        hf_steer_note(held->fds[side], side == held->side, side == held->first);
}

void hf_listener_pair(HfListener *held, unsigned side)
{
    HfSocketInode inode = {0};
    int fd;

    if (is_paired(held, side))
        return;
    const char *why = hf_listener_one_side(&held->bound);
    if (hf_listener_is_anothers(held))
        why = "another instance of holdfast has taken it over";
    if (!why && held->received && !is_tcp(held))
        why = "systemd has bound its path";
    if (why) {
        explain_one_side(held, why, 0);
        return;
    }
    unsigned now = hf_listener_has_sides(held) ? side : 0;
    int r = bind_second(held, now, &fd, &inode);
    if (r >= 0) {
        held->fds[!now] = hf_fd_close(held->fds[!now]); /* its path is gone */
        r = put_socket(held, !now, fd);
    }
    if (r < 0) {
        explain_one_side(held, explain_pair(held, r), r);
        return;
    }
    held->inodes[!now] = inode;
    if (now != side) /* what was the only one is the current one */
        hf_listener_swap_sides(held);
    held->side = held->first = side;
    held->one_side = NULL;
    note_sides(held);
}

int hf_listener_steer(HfListener *held, unsigned side)
{
    char hidden[HF_ADDRESS_TEXT_MAX];

    if (!hf_listener_has_sides(held) || hf_listener_is_anothers(held))
        return 0;
    int r = is_tcp(held) ? hf_steer_tcp(held->fds[side], side != held->first)
                         : hf_hidden_path(&held->spec.address, hidden);
    if (r >= 0 && !is_tcp(held))
        r = hf_steer_path(held->spec.address.name, hidden, &held->inodes[side]);
    if (r < 0)
        return r;
    held->side = side;
    note_sides(held);
    return 0;
}

int hf_listener_reach(const HfListener *held, unsigned side, HfReach *ret)
{
    char path[HF_ADDRESS_TEXT_MAX];
    HfAddress address = held->spec.address;
    HfReach reach = {0};
    int r = 0;

    if (!hf_listener_has_sides(held) || is_tcp(held)) {
        r = hf_socket_reach(held->fds[0], &reach.address, &reach.length);
        if (r >= 0 && hf_listener_has_sides(held) && side != held->side)
            hf_steer_reach(&reach);
    } else {
        if (side != held->side)
            r = hf_hidden_path(&held->spec.address, path);
        if (r >= 0 && side != held->side)
            r = hf_address_parse(path, &address);
        if (r >= 0)
            r = hf_address_to_sockaddr(&address, &reach.address, &reach.length);
    }
    if (r >= 0)
        *ret = reach;
    return r;
}

/* ---- as it goes on ---- */

HfListener *hf_listener_unref(HfListener *held)
{
    if (!held || --held->references > 0)
        return NULL;
    bool stays = held->received || held->stays || hf_listener_is_anothers(held);
    for (unsigned side = 0; side < HF_SIDES; side++) {
        if (held->claimed && held->taken && held->fds[side] >= 0) /* nothing came of it */
            hf_steer_claim(held->fds[side], false);
        if (!stays && !(held->taken && side == held->side))
            unlink_side(held, side);
        hf_fd_close(held->fds[side]);
    }
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
    if (held->received || held->bound.type == SOCK_DGRAM)
        return;
    bool maximum = raised || held->spec.backlog == HF_BACKLOG_MAXIMUM;
    for (unsigned side = 0; side < HF_SIDES && held->fds[side] >= 0; side++)
        hf_socket_set_backlog(held->fds[side],
                              maximum ? hf_socket_somaxconn() : held->spec.backlog);
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
    char hidden[HF_ADDRESS_TEXT_MAX];
    HfSocketStage stage = HF_LISTENER_BIND;

    int r = hf_resolved_listener_find(spec, &target, error);
    if (r < 0)
        return r;
    target.request.replace_acl = acls_differ(&held->spec, spec);
    r = hf_socket_secure(&target.request, &held->inodes[held->side], &stage);
    if (r >= 0 && hf_listener_has_sides(held)) {
        const HfSocketRequest same = {.like = held->spec.address.name};
        r = hf_hidden_path(&held->spec.address, hidden);
        r = r < 0 ? r : hf_socket_path_secure(hidden, &held->inodes[!held->side], &same, &stage);
    }
    if (r < 0)
        hf_resolved_listener_explain(&target, spec, r, stage, error);
    return r;
}

int hf_listener_respecify(HfListener *held, const HfListenerSpec *spec, bool raised, HfText *error)
{
    HfListenerSpec copy;

    if (held->received || hf_listener_is_anothers(held))
        return spec->name ? hf_string_set(&held->spec.name, spec->name) : 0;
    int r = hf_listener_spec_copy(spec, &copy);
    if (r < 0)
        return r;
    copy.address = held->spec.address;
    if (held->inodes[0].inode != 0 && rights_differ(&held->spec, spec))
        r = secure(held, spec, error);
    bool backlog = held->spec.backlog != spec->backlog;
    hf_listener_spec_clear(&held->spec);
    held->spec = copy;
    if (backlog)
        hf_listener_raise_backlog(held, raised);
    return r;
}

int hf_listener_queue(HfListener *held, unsigned side, HfQueue *ret)
{
    if (held->fds[side] < 0)
        return -ENOENT;
    int r = hf_queue_read(held->fds[side], ret);
    if (r == 0 && ret->depth > held->highest)
        held->highest = ret->depth;
    return r;
}

uint32_t hf_listener_waiting(HfListener *held)
{
    uint32_t waiting = 0;
    HfQueue queue;

    for (unsigned side = 0; side < HF_SIDES; side++)
        if (hf_listener_queue(held, side, &queue) >= 0)
            waiting += queue.depth;
    return waiting;
}

bool hf_listener_can_be_released(const HfListener *held)
{
    return (is_tcp(held) || held->inodes[0].inode != 0) && !hf_listener_is_anothers(held);
}

int hf_listener_release(HfListener *held)
{
    int r = 0;

    for (unsigned side = 0; side < HF_SIDES && held->fds[side] >= 0; side++) {
        int released =
            is_tcp(held) ? hf_socket_shut_down(held->fds[side]) : unlink_side(held, side);
        r = r < 0 ? r : released;
    }
    return r;
}

bool hf_listener_is_lost(const HfListener *held)
{
    const HfSocketInode *inode = &held->inodes[held->side];
    HfSocketInode there = {0};

    if (held->received || hf_listener_is_anothers(held))
        return false;
    if (inode->inode == 0)
        return is_tcp(held) && hf_socket_verify(held->fds[0]) == -EINVAL;
    return hf_socket_path_inode(held->spec.address.name, &there) < 0 ||
           there.device != inode->device || there.inode != inode->inode;
}

int hf_listener_identify(HfListener *const *list, size_t n, HfHeldSockets *ret)
{
    HF_CLEANUP_FREE int *fds = calloc(n * HF_SIDES + 1, sizeof(*fds));
    size_t n_fds = 0;

    if (!fds)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        for (unsigned side = 0; side < HF_SIDES; side++)
            if (list[i]->fds[side] >= 0)
                fds[n_fds++] = list[i]->fds[side];
    return hf_held_sockets_identify(fds, n_fds, ret);
}

void hf_listener_array_clear(HfListener ***list, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        hf_listener_unref((*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}
