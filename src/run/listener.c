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
#include "loop/names.h"
#include "loop/resolved_listener.h"

#define PARKED_MINIMUM 128 /* above the numbers that a child's layout usually uses */

HfListener *hf_listener_new(void)
{
    HfListener *listener = hf_allocate(1, sizeof(*listener));

    if (!listener)
        return NULL;
    listener->references = 1;
    for (unsigned side = 0; side < HF_SIDES; side++)
        listener->fds[side] = -1;
    hf_listener_spec_init(&listener->spec);
    return listener;
}

static bool is_tcp(const HfListener *listener)
{
    return hf_address_is_tcp(&listener->bound);
}

static int put_socket(HfListener *listener, unsigned side, int fd)
{
    HF_CLEANUP_FD int owned = fd;
    struct stat status;

    int r = hf_socket_type(fd);
    if (r >= 0 && fstat(fd, &status) < 0)
        r = -errno;
    if (r < 0)
        return r;
    listener->sockets[side] = status.st_ino;
    listener->fds[side] = hf_fd_steal(&owned);
    return 0;
}

static int name_after(HfListener *listener, int fd)
{
    struct sockaddr_storage bound;
    char label[HF_ADDRESS_TEXT_MAX];
    unsigned length;

    hf_address_format(&listener->spec.address, label);
    int r = hf_string_set(&listener->label, label);
    if (r >= 0 && !listener->spec.name)
        r = hf_name_of_address(&listener->spec.address, &listener->spec.name);
    if (r >= 0 && hf_address_is_path(&listener->spec.address)) { /* its name may be hidden */
        listener->bound = listener->spec.address;
        return 0;
    }
    if (r >= 0)
        r = hf_listener_name(fd, &bound, &length);
    if (r >= 0)
        r = hf_address_from_sockaddr(&bound, length, &listener->bound);
    listener->bound.type = listener->spec.address.type;
    return r;
}

int hf_listener_revive(HfListener *listener, unsigned side, int fd)
{
    HF_CLEANUP_FD int owned = fd;

    int r = name_after(listener, fd);
    return r < 0 ? r : put_socket(listener, side, hf_fd_steal(&owned));
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
    HfListener *listener = hf_listener_new();

    int r = parked < 0 ? parked : listener ? 0 : -ENOMEM;
    if (r >= 0)
        r = hf_listener_spec_copy(spec, &listener->spec);
    if (r >= 0)
        r = hf_listener_revive(listener, 0, hf_fd_steal(&parked));
    if (r < 0) {
        if (inode->inode != 0)
            hf_socket_unlink(spec->address.name, inode);
        hf_listener_unref(listener);
        return r;
    }
    listener->inodes[0] = *inode;
    *ret = listener;
    return 0;
}

int hf_listener_bind(const HfListenerSpec *spec, bool raised, HfListener **ret, HfText *error)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    HfSocketStage stage = HF_LISTENER_SOCKET;
    HfSocketInode inode = {0};
    int fd = -1;

    int r = hf_resolved_listener_find(spec, &resolved, error);
    if (r < 0)
        return r;
    if (raised)
        resolved.request.backlog = hf_socket_somaxconn();
    for (int i = 0; i < resolved.n; i++) {
        hf_resolved_listener_aim(&resolved, i);
        r = hf_socket_bind(&resolved.request, &fd, &inode, &stage);
        if (r >= 0 || !hf_resolved_listener_try_next(&spec->address, r))
            break;
    }
    if (r < 0) {
        hf_resolved_listener_explain(&resolved, spec, r, stage, error);
        return r;
    }
    r = hold(fd, spec, &inode, ret);
    if (r < 0)
        hf_text_addf(error, "%s cannot be held: %s", resolved.label, strerror(-r));
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
    (*ret)->activated = true;
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

void hf_listener_claim(HfListener *listener)
{
    listener->claimed = true;
    HF_EACH_SIDE (listener)
        hf_steer_claim(listener->fds[side], true);
}

HfListener *hf_listener_ref(HfListener *listener)
{
    listener->references++;
    return listener;
}

/* ---- sides ---- */

/* The hidden name of a side, which changes with every switch. */
static int find_hidden(const HfListener *listener, unsigned side,
                       char ret[static HF_LISTENER_PATH_MAX])
{
    return hf_steer_find_hidden(listener->spec.address.name, &listener->inodes[side], ret);
}

/* Removes our file at a unix path. */
static int unlink_side(const HfListener *listener, unsigned side)
{
    char hidden[HF_LISTENER_PATH_MAX];

    if (listener->inodes[side].inode == 0)
        return 0;
    int r = hf_socket_unlink(listener->spec.address.name, &listener->inodes[side]);
    return r < 0 && find_hidden(listener, side, hidden) == 0
               ? hf_socket_unlink(hidden, &listener->inodes[side])
               : r;
}

const char *hf_listener_one_side(const HfAddress *address)
{
    char hidden[HF_LISTENER_PATH_MAX];

    if (address->type != 0)
        return "it is not a stream socket";
    if (address->kind == HF_ADDRESS_ABSTRACT)
        return "an abstract name cannot be bound twice";
    if (address->kind == HF_ADDRESS_UNIX && hf_steer_name_hidden(address->name, 0, hidden) < 0)
        return "its path leaves no room for a hidden name beside it";
    return NULL;
}

static const char *explain_pair(const HfListener *listener, int r)
{
    if (r == -EADDRINUSE && is_tcp(listener))
        return "it is another user's socket, or other processes listen there as well";
    if (r == -EADDRINUSE)
        return "another process listens at the hidden name beside its path";
    return "a second socket cannot be bound there";
}

/* Is one of its sides there? Asking by connecting would be a connection to that side. */
static bool is_own(const HfListener *listener, const char *path)
{
    HF_EACH_SIDE (listener)
        if (hf_socket_path_is(path, &listener->inodes[side]) > 0)
            return true;
    return false;
}

/* Binds at the first free hidden name. */
static int bind_hidden(const HfListener *listener, int *ret_fd, HfSocketInode *ret_inode)
{
    const char *path = listener->spec.address.name;
    char hidden[HF_LISTENER_PATH_MAX];
    int r = -EADDRINUSE;

    for (unsigned n = 0; r == -EADDRINUSE && n < HF_SIDES; n++) {
        r = hf_steer_name_hidden(path, n, hidden);
        if (r >= 0 && is_own(listener, hidden))
            r = -EADDRINUSE;
        else if (r >= 0)
            r = hf_steer_pair_path(listener->fds[listener->side], path, hidden, ret_fd, ret_inode);
    }
    return r;
}

/* Notes on each socket which side it is, for a holdfast that copies it. */
static void note_sides(const HfListener *listener)
{
    HF_EACH_SIDE (listener)
        if (is_tcp(listener))
            hf_steer_note(listener->fds[side], side == listener->side, listener->places[side]);
}

/* Adds a socket for side; an earlier one there has lost its path. */
static int bind_side(HfListener *listener, unsigned side)
{
    HfSocketInode inode = {0};
    unsigned n = 0;
    int fd;

    for (unsigned i = 0; i < HF_SIDES; i++)
        n += listener->fds[i] >= 0;
    int r = is_tcp(listener) ? hf_steer_pair_tcp(listener->fds[listener->side],
                                                 listener->places[listener->side], n, &fd)
                             : bind_hidden(listener, &fd, &inode);
    if (r < 0)
        return r;
    listener->inodes[side] = inode;
    r = fd = park(fd);
    if (r >= 0) {
        listener->fds[side] = hf_fd_close(listener->fds[side]);
        r = put_socket(listener, side, fd);
    }
    if (r < 0) {
        unlink_side(listener, side);
        return r;
    }
    listener->places[side] = n;
    note_sides(listener);
    return 0;
}

static void explain_one_side(HfListener *listener, const char *why, int error)
{
    const HfLogFields fields = {.listener = listener->label, .error = error};

    if (why && listener->one_side != why && error != -EADDRINUSE && error < 0)
        hf_log(LOG_WARNING, &fields, "%s has one side: %s", listener->label, why);
    listener->one_side = why;
}

#define SWAP(array, i, j)                                                                          \
    do {                                                                                           \
        __typeof__((array)[0]) one = (array)[i];                                                   \
        (array)[i] = (array)[j];                                                                   \
        (array)[j] = one;                                                                          \
    } while (0)
void hf_listener_renumber(HfListener *listener, unsigned side)
{
    const unsigned was = listener->side;

    SWAP(listener->inodes, was, side);
    SWAP(listener->sockets, was, side);
    SWAP(listener->fds, was, side);
    SWAP(listener->places, was, side);
    if (listener->standby == was)
        listener->standby = side;
    else if (listener->standby == side)
        listener->standby = was;
    listener->side = side;
}

void hf_listener_pair(HfListener *listener, unsigned side)
{
    if (hf_listener_has_sides(listener))
        return;
    const char *why = hf_listener_one_side(&listener->bound);
    int r = 0;
    if (hf_listener_is_anothers(listener))
        why = "another instance of holdfast has taken it over";
    if (!why && listener->activated && !is_tcp(listener))
        why = "systemd has bound its path";
    if (!why) {
        hf_listener_renumber(listener, side);
        r = bind_side(listener, side == 0);
        why = r < 0 ? explain_pair(listener, r) : NULL;
    }
    explain_one_side(listener, why, r);
    if (!why)
        listener->standby = side == 0;
}

bool hf_listener_can_switch(const HfListener *listener, unsigned side)
{
    char hidden[HF_LISTENER_PATH_MAX];

    return !hf_listener_has_sides(listener) || side == listener->side || is_tcp(listener) ||
           find_hidden(listener, side, hidden) == 0;
}

/* Sees to it that side has a socket that can be switched to. */
static int need_side(HfListener *listener, unsigned side)
{
    return listener->fds[side] < 0 || !hf_listener_can_switch(listener, side)
               ? bind_side(listener, side)
               : 0;
}

int hf_listener_open_side(HfListener *listener, unsigned side, HfText *error)
{
    if (!hf_listener_has_sides(listener) || side == listener->side ||
        hf_listener_is_anothers(listener))
        return 0;
    int r = need_side(listener, side);
    if (r >= 0 && is_tcp(listener))
        r = hf_steer_tcp(listener->fds[listener->side], listener->places[listener->side],
                         listener->places[side]);
    if (r >= 0)
        listener->standby = side;
    else
        hf_text_addf(error, "the next generation cannot have a socket of its own at %s (%s): %s",
                     listener->label, explain_pair(listener, r), strerror(-r));
    return r;
}

/* Both have sockets. */
static int aim(HfListener *listener, unsigned side, unsigned standby)
{
    char hidden[HF_LISTENER_PATH_MAX];

    if (!is_tcp(listener))
        find_hidden(listener, side, hidden); /* in case it is there already */
    int r =
        is_tcp(listener)
            ? hf_steer_tcp(listener->fds[side], listener->places[side], listener->places[standby])
            : hf_steer_path(listener->spec.address.name, hidden, &listener->inodes[side]);
    if (r < 0)
        return r;
    listener->side = side;
    listener->standby = standby;
    note_sides(listener);
    return 0;
}

int hf_listener_steer(HfListener *listener, unsigned side)
{
    if (!hf_listener_has_sides(listener) || listener->fds[side] < 0 ||
        hf_listener_is_anothers(listener))
        return 0;
    return aim(listener, side, side == listener->side ? listener->standby : listener->side);
}

int hf_listener_hold(HfListener *listener, unsigned standby, HfText *error)
{
    int r = need_side(listener, HF_SIDE_HELD);
    r = r < 0 ? r : hf_socket_set_backlog(listener->fds[HF_SIDE_HELD], hf_socket_somaxconn());
    if (r >= 0)
        r = aim(listener, HF_SIDE_HELD, listener->fds[standby] >= 0 ? standby : listener->side);
    if (r < 0)
        hf_text_addf(error, "new connections to %s cannot be held (%s): %s", listener->label,
                     explain_pair(listener, r), strerror(-r));
    return r;
}

int hf_listener_let_through(HfListener *listener, unsigned side, unsigned standby)
{
    bool both = listener->fds[side] >= 0 && listener->fds[standby] >= 0 && standby != side;

    return both && !hf_listener_is_anothers(listener) ? aim(listener, side, standby)
                                                      : hf_listener_steer(listener, side);
}

int hf_listener_reach(const HfListener *listener, unsigned side, HfReach *ret)
{
    char path[HF_LISTENER_PATH_MAX];
    HfAddress address = listener->spec.address;
    HfReach reach = {0};
    int r = 0;

    if (!hf_listener_has_sides(listener) || is_tcp(listener)) {
        r = hf_socket_reach(listener->fds[listener->side], &reach.address, &reach.length);
        if (r >= 0 && hf_listener_has_sides(listener) && side != listener->side)
            hf_steer_reach(&reach);
    } else {
        if (side != listener->side)
            r = find_hidden(listener, side, path);
        if (r >= 0 && side != listener->side)
            r = hf_address_parse(path, &address);
        if (r >= 0)
            r = hf_address_to_sockaddr(&address, &reach.address, &reach.length);
    }
    if (r >= 0)
        *ret = reach;
    return r;
}

/* ---- while it is held ---- */

HfListener *hf_listener_unref(HfListener *listener)
{
    if (!listener || --listener->references > 0)
        return NULL;
    bool stays = listener->activated || listener->stays || hf_listener_is_anothers(listener);
    HF_EACH_SIDE (listener) {
        bool copied = listener->claimed && listener->taken && /* and the take-over failed */
                      hf_steer_claim(listener->fds[side], false);
        if (!stays && !copied && !(listener->taken && side == listener->side))
            unlink_side(listener, side);
        hf_fd_close(listener->fds[side]);
    }
    hf_listener_spec_clear(&listener->spec);
    free(listener->label);
    free(listener);
    return NULL;
}

void hf_listener_raise_backlog(HfListener *listener, bool raised)
{
    if (listener->activated || listener->bound.type == SOCK_DGRAM)
        return;
    bool maximum = raised || listener->spec.backlog == HF_BACKLOG_MAXIMUM;
    HF_EACH_SIDE (listener) {
        bool most = maximum || side == HF_SIDE_HELD;
        hf_socket_set_backlog(listener->fds[side],
                              most ? hf_socket_somaxconn() : listener->spec.backlog);
    }
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

static int secure(const HfListener *listener, const HfListenerSpec *spec, HfText *error)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    char hidden[HF_LISTENER_PATH_MAX];
    HfSocketStage stage = HF_LISTENER_BIND;

    int r = hf_resolved_listener_find(spec, &resolved, error);
    if (r < 0)
        return r;
    resolved.request.replace_acl = acls_differ(&listener->spec, spec);
    r = hf_socket_secure(&resolved.request, &listener->inodes[listener->side], &stage);
    const HfSocketRequest same = {.like = listener->spec.address.name};
    HF_EACH_SIDE (listener)
        if (r >= 0 && side != listener->side && find_hidden(listener, side, hidden) == 0)
            r = hf_socket_path_secure(hidden, &listener->inodes[side], &same, &stage);
    if (r < 0)
        hf_resolved_listener_explain(&resolved, spec, r, stage, error);
    return r;
}

int hf_listener_respecify(HfListener *listener, const HfListenerSpec *spec, bool raised,
                          HfText *error)
{
    HfListenerSpec copy;

    if (listener->activated || hf_listener_is_anothers(listener))
        return spec->name ? hf_string_set(&listener->spec.name, spec->name) : 0;
    int r = hf_listener_spec_copy(spec, &copy);
    if (r < 0)
        return r;
    copy.address = listener->spec.address;
    if (listener->inodes[listener->side].inode != 0 && rights_differ(&listener->spec, spec))
        r = secure(listener, spec, error);
    bool backlog = listener->spec.backlog != spec->backlog;
    hf_listener_spec_clear(&listener->spec);
    listener->spec = copy;
    if (backlog)
        hf_listener_raise_backlog(listener, raised);
    return r;
}

int hf_listener_queue(HfListener *listener, unsigned side, HfQueue *ret)
{
    if (listener->fds[side] < 0)
        return -ENOENT;
    int r = hf_queue_read(listener->fds[side], ret);
    if (r == 0 && ret->depth > listener->highest)
        listener->highest = ret->depth;
    return r;
}

bool hf_listener_can_be_released(const HfListener *listener)
{
    return (is_tcp(listener) || listener->inodes[listener->side].inode != 0) &&
           !hf_listener_is_anothers(listener);
}

int hf_listener_release(HfListener *listener)
{
    int r = 0;

    HF_EACH_SIDE (listener) {
        int released = is_tcp(listener) ? hf_socket_shut_down(listener->fds[side])
                                        : unlink_side(listener, side);
        r = r < 0 ? r : released;
    }
    return r;
}

bool hf_listener_is_lost(const HfListener *listener)
{
    const HfSocketInode *inode = &listener->inodes[listener->side];

    if (listener->activated || hf_listener_is_anothers(listener))
        return false;
    if (inode->inode == 0)
        return is_tcp(listener) && hf_socket_verify(listener->fds[listener->side]) == -EINVAL;
    return hf_socket_path_is(listener->spec.address.name, inode) == 0;
}
