/* SPDX-License-Identifier: MIT */
#include "loop/resolved_listener.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/settings.h"
#include "kernel/file.h"
#include "kernel/owner.h"
#include "loop/names.h"

#define PID_BYTES 32 /* bytes of a lock file */

void hf_resolved_listener_clear(HfResolvedListener *resolved)
{
    free(resolved->accounts.users);
    free(resolved->accounts.groups);
}

void hf_resolved_listener_aim(HfResolvedListener *resolved, int i)
{
    resolved->request.address = &resolved->addresses[i];
    resolved->request.address_length = resolved->lengths[i];
}

static int explain_account(const char *kind, const char *name, int r, HfText *error)
{
    if (r == -ENOENT)
        hf_text_addf(error, "there is no %s \"%s\" on this system", kind, name);
    else
        hf_text_addf(error, "the %s \"%s\" cannot be looked up: %s", kind, name, strerror(-r));
    return r;
}

/* Converts comma-separated names to numbers. */
static int parse_accounts(const HfNames *names, const char *list, bool groups, HfAccounts *accounts,
                          HfText *error)
{
    HF_CLEANUP_FREE char *copy = list ? strdup(list) : NULL;
    if (!list)
        return 0;
    if (!copy)
        return -ENOMEM;

    size_t maximum = 1;
    for (const char *c = copy; *c; c++)
        maximum += *c == ',';
    uid_t *users = groups ? NULL : calloc(maximum, sizeof(*users));
    gid_t *gids = groups ? calloc(maximum, sizeof(*gids)) : NULL;
    accounts->users = users ? users : accounts->users;
    accounts->groups = gids ? gids : accounts->groups;
    if (!users && !gids)
        return -ENOMEM;

    char *rest = NULL;
    for (char *name = strtok_r(copy, ", ", &rest); name; name = strtok_r(NULL, ", ", &rest)) {
        int r = groups ? hf_names_group(names, name, &gids[accounts->n_groups++])
                       : hf_names_user(names, name, &users[accounts->n_users++], NULL);
        if (r < 0)
            return explain_account(groups ? "group" : "user", name, r, error);
    }
    return 0;
}

/* The addresses to be tried in turn; php-fpm as well takes a host's first address that can be
 * bound. */
static int list_addresses(const HfNames *names, const HfAddress *address, const char *label,
                          struct sockaddr_storage *ret, unsigned *ret_lengths, HfText *error)
{
    socklen_t length;

    if (address->kind == HF_ADDRESS_HOST) {
        int n = hf_names_host(names, address->name, address->port, ret, ret_lengths,
                              HF_RESOLVED_ADDRESSES_MAX);
        if (n < 0)
            hf_text_addf(error, "%s: %s", label,
                         n == -ENOENT ? "there is no host of that name, or it has no address"
                         : n == -EAGAIN || n == -ETIMEDOUT
                             ? "the name server does not answer, so the host's address is not "
                               "known; try again, or write the address itself"
                             : strerror(-n));
        return n;
    }
    int r = hf_address_to_sockaddr(address, &ret[0], &length);
    assert(r == 0);
    if (hf_address_is_looked_up(address)) {
        unsigned scope = if_nametoindex(address->name);
        if (scope == 0) {
            hf_text_addf(error, "%s: this machine has no network interface %s", label,
                         address->name);
            return -ENODEV;
        }
        ((struct sockaddr_in6 *)&ret[0])->sin6_scope_id = scope;
    }
    ret_lengths[0] = length;
    if (address->kind != HF_ADDRESS_PORT)
        return 1;
    /* for a machine without IPv6 */
    HfAddress any = {.kind = HF_ADDRESS_INET, .port = address->port};
    r = hf_address_to_sockaddr(&any, &ret[1], &length);
    assert(r == 0);
    ret_lengths[1] = length;
    return 2;
}

int hf_resolved_listener_find(const HfListenerSpec *spec, HfResolvedListener *resolved,
                              HfText *error)
{
    HfSocketRequest *request = &resolved->request;
    const HfNames *names = spec->names;

    *request = (HfSocketRequest){
        .type = spec->address.type,
        .backlog = spec->backlog == HF_BACKLOG_MAXIMUM ? hf_socket_somaxconn() : spec->backlog,
        .ipv6_only = spec->ipv6_only,
        .interface = spec->interface,
        .options = spec->options,
        .n_options = spec->n_options,
        .has_mode = spec->mode != HF_MODE_UNSET,
        .mode = spec->mode,
        .uid = (uid_t)-1,
        .gid = (gid_t)-1,
    };
    hf_address_format(&spec->address, resolved->label);
    int r = spec->owner ? hf_names_user(names, spec->owner, &request->uid, &request->gid) : 0;
    if (r < 0)
        return explain_account("user", spec->owner, r, error);
    r = spec->group ? hf_names_group(names, spec->group, &request->gid) : 0;
    if (r < 0)
        return explain_account("group", spec->group, r, error);
    r = parse_accounts(names, spec->acl_users, false, &resolved->accounts, error);
    if (r >= 0)
        r = parse_accounts(names, spec->acl_groups, true, &resolved->accounts, error);
    if (r < 0)
        return r;
    request->acl_users = resolved->accounts.users;
    request->n_acl_users = resolved->accounts.n_users;
    request->acl_groups = resolved->accounts.groups;
    request->n_acl_groups = resolved->accounts.n_groups;
    resolved->n = list_addresses(names, &spec->address, resolved->label, resolved->addresses,
                                 resolved->lengths, error);
    if (resolved->n < 0)
        return resolved->n;
    hf_resolved_listener_aim(resolved, 0);
    return 0;
}

HfPlaces hf_resolved_listener_compare(const HfResolvedListener *a, const HfResolvedListener *b)
{
    const struct sockaddr_storage *left = &a->addresses[0];
    const struct sockaddr_storage *right = &b->addresses[0];
    char paths[2][HF_LISTENER_PATH_MAX];

    if ((left->ss_family == AF_UNIX) != (right->ss_family == AF_UNIX) ||
        (left->ss_family != AF_UNIX && a->request.type != b->request.type))
        return HF_PLACES_APART;
    bool same = a->lengths[0] == b->lengths[0] && memcmp(left, right, a->lengths[0]) == 0;
    if (same)
        return HF_PLACES_SAME;
    if (left->ss_family != AF_UNIX)
        return hf_addresses_conflict(left, a->request.ipv6_only, right, b->request.ipv6_only)
                   ? HF_PLACES_OVERLAP
                   : HF_PLACES_APART;
    hf_socket_path_of(&a->request, paths[0]);
    hf_socket_path_of(&b->request, paths[1]);
    return paths[0][0] && paths[1][0] && hf_socket_path_same(paths[0], paths[1]) ? HF_PLACES_SAME
                                                                                 : HF_PLACES_APART;
}

/* ---- why it cannot be bound ---- */

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

/* The name of the instance whose process is pid, by its lock; NULL: not one of this user's. */
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

/* Another instance can release an address by a reload, so that nothing has to be stopped. */
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
                     "); remove it from that instance's settings and run \"holdfast reload "
                     "--name=%s\", or choose another address; to move it without a gap, run "
                     "\"holdfast reload --take-over\" here first",
                     instance);
    else
        hf_text_add(error,
                    "); stop it, start holdfast with --take-over, or choose another address");
}

void hf_resolved_listener_explain(const HfResolvedListener *resolved, const HfListenerSpec *spec,
                                  int r, HfSocketStage stage, HfText *error)
{
    const HfSocketRequest *request = &resolved->request;
    const char *label = resolved->label;
    HfOwner owner;

    if (r == -EADDRINUSE &&
        hf_owner_find_of(request->type, request->address, request->address_length, &owner) == 0) {
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
            [HF_LISTENER_SOCKET] = "no socket can be created for it",
            [HF_LISTENER_OPTION] = "one of its options cannot be set",
            [HF_LISTENER_PATH] = "the file in its place cannot be replaced",
            [HF_LISTENER_BIND] = "it cannot be bound",
            [HF_LISTENER_MODE] = "its mode cannot be set",
            [HF_LISTENER_OWNER] = "its owner cannot be set",
            [HF_LISTENER_ACL] = "its access control list cannot be set",
            [HF_LISTENER_LISTEN] = "it cannot listen",
        };
        hf_text_addf(error, "%s: %s: %s", label, stages[stage], strerror(-r));
    }
}

bool hf_resolved_listener_try_next(const HfAddress *address, int r)
{
    if (address->kind == HF_ADDRESS_PORT)
        return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL || r == -EADDRINUSE;
    return address->kind == HF_ADDRESS_HOST;
}

int hf_resolved_listener_probe(const HfListenerSpec *spec, HfText *error)
{
    HF_CLEANUP_RESOLVED HfResolvedListener resolved = {0};
    HfSocketStage stage = HF_LISTENER_BIND;
    HfOwner owner;

    int r = hf_resolved_listener_find(spec, &resolved, error);
    if (r < 0)
        return r;
    for (int i = 0; i < resolved.n; i++) {
        hf_resolved_listener_aim(&resolved, i);
        r = hf_socket_probe(&resolved.request, &stage);
        if (r >= 0 && !hf_address_is_path(&spec->address)) {
            int found = hf_owner_find_of(resolved.request.type, resolved.request.address,
                                         resolved.request.address_length, &owner);
            r = found == 0 || found == -EACCES ? -EADDRINUSE : 0;
        }
        if (r >= 0 && !hf_socket_can_have(&resolved.request))
            r = -EADDRNOTAVAIL;
        if (r >= 0 || !hf_resolved_listener_try_next(&spec->address, r))
            break;
    }
    if (r < 0)
        hf_resolved_listener_explain(&resolved, spec, r, stage, error);
    return r;
}
