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

#define PARKED_MINIMUM 128 /* above the numbers that a child's layout usually uses */

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
    for (unsigned side = 0; side < HF_SIDES; side++)
        held->fds[side] = -1;
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
    if (r >= 0 && hf_address_is_path(&held->spec.address)) { /* its name may be hidden */
        held->bound = held->spec.address;
        return 0;
    }
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

    int r = name_after(held, fd);
    return r < 0 ? r : put_socket(held, side, hf_fd_steal(&owned));
}

/* Moves fd above the numbers that a child's layout uses, if possible. */
static int park(int fd)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= 2 * PARKED_MINIMUM)
        return fd;
    return hf_fd_raise(fd, PARKED_MINIMUM);
}

/* Makes a listener from fd; consumes it on failure as well. */
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
    spec.backlog = 0; /* unlike the .socket unit's */
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

    /* backlog and permissions are applied once the plan counts */
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

/* The hidden name of a side, which changes with every switch. */
static int find_hidden(const HfListener *held, unsigned side, char ret[static HF_LISTENER_PATH_MAX])
{
    return hf_steer_find_hidden(held->spec.address.name, &held->inodes[side], ret);
}

/* Removes our file at a unix path. */
static int unlink_side(const HfListener *held, unsigned side)
{
    char hidden[HF_LISTENER_PATH_MAX];

    if (held->inodes[side].inode == 0)
        return 0;
    int r = hf_socket_unlink(held->spec.address.name, &held->inodes[side]);
    return r < 0 && find_hidden(held, side, hidden) == 0
               ? hf_socket_unlink(hidden, &held->inodes[side])
               : r;
}

const char *hf_listener_one_side(const HfAddress *address)
{
    char hidden[HF_LISTENER_PATH_MAX];

    if (address->type != 0)
        return "it is no stream socket";
    if (address->kind == HF_ADDRESS_ABSTRACT)
        return "an abstract name cannot be bound twice";
    if (address->kind == HF_ADDRESS_UNIX && hf_steer_name_hidden(address->name, 0, hidden) < 0)
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

static unsigned count_sides(const HfListener *held)
{
    unsigned n = 0;

    HF_EACH_SIDE (held)
        n++;
    return n;
}

/* Binds at the first free hidden name. */
static int bind_hidden(const HfListener *held, int *ret_fd, HfSocketInode *ret_inode)
{
    const char *path = held->spec.address.name;
    char hidden[HF_LISTENER_PATH_MAX];
    int r = -EADDRINUSE;

    for (unsigned n = 0; r == -EADDRINUSE && n < HF_SIDES; n++) {
        r = hf_steer_name_hidden(path, n, hidden);
        if (r >= 0)
            r = hf_steer_pair_path(held->fds[held->side], path, hidden, ret_fd, ret_inode);
    }
    return r;
}

/* Notes on each socket which side it is, for a holdfast that copies it. */
static void note_sides(const HfListener *held)
{
    HF_EACH_SIDE (held)
        if (is_tcp(held))
            hf_steer_note(held->fds[side], side == held->side, held->places[side]);
}

/* Adds a socket for side; an earlier one there has lost its path. */
static int bind_side(HfListener *held, unsigned side)
{
    unsigned n = count_sides(held);
    HfSocketInode inode = {0};
    int fd;

    int r = is_tcp(held)
                ? hf_steer_pair_tcp(held->fds[held->side], held->places[held->side], n, &fd)
                : bind_hidden(held, &fd, &inode);
    if (r < 0)
        return r;
    held->inodes[side] = inode;
    r = fd = park(fd);
    if (r >= 0) {
        held->fds[side] = hf_fd_close(held->fds[side]);
        r = put_socket(held, side, fd);
    }
    if (r < 0) {
        unlink_side(held, side);
        return r;
    }
    held->places[side] = n;
    note_sides(held);
    return 0;
}

static void explain_one_side(HfListener *held, const char *why, int error)
{
    const HfLogFields fields = {.listener = held->label, .error = error};

    if (why && held->one_side != why && error != -EADDRINUSE && error < 0)
        hf_log(LOG_WARNING, &fields, "%s has one side: %s", held->label, why);
    held->one_side = why;
}

#define SWAP(array, i, j)                                                                          \
    do {                                                                                           \
        __typeof__((array)[0]) one = (array)[i];                                                   \
        (array)[i] = (array)[j];                                                                   \
        (array)[j] = one;                                                                          \
    } while (0)
void hf_listener_renumber(HfListener *held, unsigned side)
{
    const unsigned was = held->side;

    SWAP(held->inodes, was, side);
    SWAP(held->sockets, was, side);
    SWAP(held->fds, was, side);
    SWAP(held->places, was, side);
    if (held->standby == was)
        held->standby = side;
    else if (held->standby == side)
        held->standby = was;
    held->side = side;
}

void hf_listener_pair(HfListener *held, unsigned side)
{
    if (hf_listener_has_sides(held))
        return;
    const char *why = hf_listener_one_side(&held->bound);
    int r = 0;
    if (hf_listener_is_anothers(held))
        why = "another instance of holdfast has taken it over";
    if (!why && held->received && !is_tcp(held))
        why = "systemd has bound its path";
    if (!why) {
        hf_listener_renumber(held, side);
        r = bind_side(held, side == 0);
        why = r < 0 ? explain_pair(held, r) : NULL;
    }
    explain_one_side(held, why, r);
    if (!why)
        held->standby = side == 0;
}

bool hf_listener_can_switch(const HfListener *held, unsigned side)
{
    char hidden[HF_LISTENER_PATH_MAX];

    return !hf_listener_has_sides(held) || side == held->side || is_tcp(held) ||
           find_hidden(held, side, hidden) == 0;
}

int hf_listener_open_side(HfListener *held, unsigned side, HfText *error)
{
    int r = 0;

    if (!hf_listener_has_sides(held) || side == held->side || hf_listener_is_anothers(held))
        return 0;
    if (held->fds[side] < 0 || !hf_listener_can_switch(held, side))
        r = bind_side(held, side);
    if (r >= 0 && is_tcp(held))
        r = hf_steer_tcp(held->fds[held->side], held->places[held->side], held->places[side]);
    if (r >= 0)
        held->standby = side;
    else
        hf_text_addf(error, "the next generation cannot have a socket of its own at %s (%s): %s",
                     held->label, explain_pair(held, r), strerror(-r));
    return r;
}

int hf_listener_steer(HfListener *held, unsigned side)
{
    char hidden[HF_LISTENER_PATH_MAX];

    if (!hf_listener_has_sides(held) || held->fds[side] < 0 || hf_listener_is_anothers(held))
        return 0;
    unsigned other = side == held->side ? held->standby : held->side;
    if (!is_tcp(held))
        find_hidden(held, side, hidden); /* in case it is there already */
    int r = is_tcp(held) ? hf_steer_tcp(held->fds[side], held->places[side], held->places[other])
                         : hf_steer_path(held->spec.address.name, hidden, &held->inodes[side]);
    if (r < 0)
        return r;
    held->side = side;
    held->standby = other;
    note_sides(held);
    return 0;
}

int hf_listener_reach(const HfListener *held, unsigned side, HfReach *ret)
{
    char path[HF_LISTENER_PATH_MAX];
    HfAddress address = held->spec.address;
    HfReach reach = {0};
    int r = 0;

    if (!hf_listener_has_sides(held) || is_tcp(held)) {
        r = hf_socket_reach(held->fds[held->side], &reach.address, &reach.length);
        if (r >= 0 && hf_listener_has_sides(held) && side != held->side)
            hf_steer_reach(&reach);
    } else {
        if (side != held->side)
            r = find_hidden(held, side, path);
        if (r >= 0 && side != held->side)
            r = hf_address_parse(path, &address);
        if (r >= 0)
            r = hf_address_to_sockaddr(&address, &reach.address, &reach.length);
    }
    if (r >= 0)
        *ret = reach;
    return r;
}

/* ---- while it is held ---- */

HfListener *hf_listener_unref(HfListener *held)
{
    if (!held || --held->references > 0)
        return NULL;
    bool stays = held->received || held->stays || hf_listener_is_anothers(held);
    HF_EACH_SIDE (held) {
        if (held->claimed && held->taken) /* the take-over failed */
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

void hf_listener_raise_backlog(HfListener *held, bool raised)
{
    if (held->received || held->bound.type == SOCK_DGRAM)
        return;
    bool maximum = raised || held->spec.backlog == HF_BACKLOG_MAXIMUM;
    HF_EACH_SIDE (held)
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
    char hidden[HF_LISTENER_PATH_MAX];
    HfSocketStage stage = HF_LISTENER_BIND;

    int r = hf_resolved_listener_find(spec, &target, error);
    if (r < 0)
        return r;
    target.request.replace_acl = acls_differ(&held->spec, spec);
    r = hf_socket_secure(&target.request, &held->inodes[held->side], &stage);
    const HfSocketRequest same = {.like = held->spec.address.name};
    HF_EACH_SIDE (held)
        if (r >= 0 && side != held->side && find_hidden(held, side, hidden) == 0)
            r = hf_socket_path_secure(hidden, &held->inodes[side], &same, &stage);
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
    if (held->inodes[held->side].inode != 0 && rights_differ(&held->spec, spec))
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

    HF_EACH_SIDE (held)
        waiting += hf_listener_queue(held, side, &queue) >= 0 ? queue.depth : 0;
    return waiting;
}

bool hf_listener_can_be_released(const HfListener *held)
{
    return (is_tcp(held) || held->inodes[held->side].inode != 0) && !hf_listener_is_anothers(held);
}

int hf_listener_release(HfListener *held)
{
    int r = 0;

    HF_EACH_SIDE (held) {
        int released =
            is_tcp(held) ? hf_socket_shut_down(held->fds[side]) : unlink_side(held, side);
        r = r < 0 ? r : released;
    }
    return r;
}

bool hf_listener_is_lost(const HfListener *held)
{
    const HfSocketInode *inode = &held->inodes[held->side];

    if (held->received || hf_listener_is_anothers(held))
        return false;
    if (inode->inode == 0)
        return is_tcp(held) && hf_socket_verify(held->fds[held->side]) == -EINVAL;
    return hf_socket_path_is(held->spec.address.name, inode) == 0;
}

void hf_listener_array_clear(HfListener ***list, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        hf_listener_unref((*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}
