/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>

#include "base/memory.h"
#include "config/settings.h"
#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

#define WARMS_MAX 256 /* our own pools beside the user's */

/* Makes a path that exists nowhere, so that a leaving php-fpm unlinks nothing: ALIASES/POOL, or a
 * number where the pool's name is unsuitable. */
static int make_alias(const char *aliases, const char *pool, size_t index, bool status, char **ret)
{
    HF_CLEANUP_FREE char *clean = NULL;
    HF_CLEANUP_TEXT HfText text = {0};

    int r = hf_name_clean(pool, false, &clean);
    if (r < 0)
        return r;
    const char *suffix = status ? "-status" : "";
    bool plain = strcmp(clean, pool) == 0;
    size_t length = strlen(aliases) + 1 + strlen(clean) + strlen(suffix);
    if (plain && length < sizeof(((struct sockaddr_un *)0)->sun_path))
        hf_text_addf(&text, "%s/%s%s", aliases, clean, suffix);
    else
        hf_text_addf(&text, "%s/.%zu%s", aliases, index, suffix);
    return hf_text_take(&text, ret);
}

/* Base directories of relative paths: php-fpm has expanded listen already, unless -p is relative.
 */
typedef struct Places {
    const char *base;
    char *prefix; /* absolute, for pm.status_listen */
    const char *aliases;
} Places;

static int want(const HfPhpfpmConfig *config, size_t index, bool status, const Places *places,
                HfPlan *plan, HfText *error)
{
    const HfPhpfpmPool *pool = &config->pools[index];
    const char *listen = status ? pool->status_listen : pool->listen;
    const char *key = status ? "pm.status_listen" : "listen";
    HfListenerSpec spec;
    HfPlanned *planned;

    hf_listener_spec_init(&spec);
    int r = hf_phpfpm_address(listen, status ? places->prefix : places->base, &spec.address);
    if (r < 0) {
        hf_text_addf(error, "[%s] %s = %s: not an address that can be held%s", pool->name, key,
                     listen, r == -ENAMETOOLONG ? ", it is too long" : "");
        return r;
    }
    for (size_t i = 0; i < plan->n_wanted; i++)
        if (hf_address_equal(&plan->wanted[i].spec.address, &spec.address)) {
            hf_text_addf(error, "[%s] %s = %s: another pool listens there already", pool->name, key,
                         listen);
            return -EADDRINUSE;
        }

    HF_CLEANUP_FREE char *name = NULL;
    HF_CLEANUP_TEXT HfText full = {0};
    hf_text_addf(&full, "%s%s", pool->name, status ? "-status" : "");
    r = hf_name_clean(hf_text_peek(&full), false, &name);
    if (r < 0)
        return r;
    bool path = hf_address_is_path(&spec.address);
    spec.name = name;
    spec.backlog = pool->backlog;
    spec.mode = path ? pool->mode : HF_MODE_UNSET;
    spec.owner = path ? pool->owner : NULL;
    spec.group = path ? pool->group : NULL;
    spec.acl_users = path ? pool->acl_users : NULL;
    spec.acl_groups = path ? pool->acl_groups : NULL;
    r = hf_plan_want(plan, &spec, &planned);
    if (r < 0)
        return r;
    planned->pool = index;
    planned->status = status;
    return path ? make_alias(places->aliases, pool->name, index, status, &planned->alias) : 0;
}

static int join(const char *base, const char *path, char **ret)
{
    HF_CLEANUP_TEXT HfText text = {0};

    if (path[0] != '/')
        hf_text_addf(&text, "%s/", base);
    hf_text_add(&text, path);
    return hf_text_take(&text, ret);
}

/* Our source address is 127.0.0.1, ::1, or the address that we connect to. */
static bool lets_us_in(const char *clients, const HfAddress *address)
{
    char own[HF_ADDRESS_TEXT_MAX];
    const char *rest = clients;

    hf_address_format(address, own);
    while (*rest) {
        rest += strspn(rest, ", ");
        size_t length = strcspn(rest, ", ");
        if ((length == 9 && memcmp(rest, "127.0.0.1", length) == 0) ||
            (length == 3 && memcmp(rest, "::1", length) == 0) ||
            (length > 0 && memmem(own, strlen(own), rest, length)))
            return true;
        rest += length;
    }
    return false;
}

static int take_access(const HfPhpfpmPool *pool, const HfAddress *address, HfPlanPool *planned)
{
    const char *clients = pool->allowed_clients;

    planned->shows_environment = pool->shows_environment;
    if (!clients || hf_address_is_path(address))
        return 0;
    planned->closed = !lets_us_in(clients, address);
    return planned->closed ? 0 : hf_string_set(&planned->allowed, clients);
}

static int want_pools(const HfPhpfpmConfig *config, const Places *places, HfPlan *plan,
                      HfText *error)
{
    for (size_t i = 0; i < config->n_pools; i++) {
        const HfPhpfpmPool *pool = &config->pools[i];
        HfPlanPool *planned = &plan->pools[plan->n_pools++];
        int r = hf_string_set(&planned->name, pool->name);
        if (r >= 0)
            r = hf_string_set(&planned->memory_limit, pool->memory_limit ? pool->memory_limit : "");
        if (r >= 0)
            r = want(config, i, false, places, plan, error);
        if (r >= 0)
            r = take_access(pool, &plan->wanted[plan->n_wanted - 1].spec.address, planned);
        if (r >= 0)
            r = hf_string_set(&planned->ping_path, pool->ping_path);
        if (r >= 0 && pool->status_listen)
            r = want(config, i, true, places, plan, error);
        if (r < 0)
            return r;
        planned->workers = pool->max_children;
        planned->on_demand = strcmp(pool->manager, "ondemand") == 0;
        r = hf_string_set(&planned->user, pool->run_user ? pool->run_user : "");
        if (r >= 0)
            r = hf_string_set(&planned->group, pool->run_group ? pool->run_group : "");
        if (r >= 0)
            r = hf_string_set(&planned->chroot, pool->chroot ? pool->chroot : "");
        if (r < 0)
            return r;
        plan->peak_workers += pool->max_children;
    }
    return 0;
}

/* A random path: the status page also answers requests from the web server. */
static int make_status_path(char **ret)
{
    uint64_t random[2];
    HF_CLEANUP_TEXT HfText path = {0};

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    hf_text_addf(&path, "/holdfast-%016llx%016llx", (unsigned long long)random[0],
                 (unsigned long long)random[1]);
    return hf_text_take(&path, ret);
}

/* Would a socket that php-fpm binds belong to another user? With an ACL its owner does not count.
 */
static bool gives_away(const HfPhpfpmPool *pool)
{
    return !pool->status_listen && !pool->acl_users && !pool->acl_groups &&
           (pool->owner || pool->group);
}

/* page: for probes to ask for. */
static int probe_pools(const HfPhpfpmConfig *config, const char *page, HfPlan *plan)
{
    HF_CLEANUP_FREE char *own = NULL;

    int r = make_status_path(&own);
    for (size_t i = 0; r >= 0 && i < config->n_pools; i++) {
        const HfPhpfpmPool *pool = &config->pools[i];
        bool pings = strcmp(page, HF_PLAN_PING) == 0 && !pool->ping_path;
        plan->pools[i].probe = (pings ? HF_POOL_PINGS : 0U) |
                               (pool->has_status_listen ? HF_POOL_COUNTS : 0U) |
                               (pool->status_listen ? 0U : HF_POOL_LISTENS) |
                               (pool->status_path ? 0U : HF_POOL_WRITES_PATH) | HF_POOL_OURS |
                               (gives_away(pool) ? HF_POOL_GIVES : 0U);
        r = hf_string_set(&plan->pools[i].status_path, pool->status_path ? pool->status_path : own);
    }
    return r;
}

/* All pools with the same user, group and chroot share one cache, so one of them is enough. */
static void warm_pools(const HfPhpfpmConfig *config, HfPlan *plan)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_pools && n < WARMS_MAX; i++) {
        bool first = config->pools[i].has_limit_extensions;
        for (size_t j = 0; j < i && first; j++)
            first = !hf_plan_pools_share(&plan->pools[i], &plan->pools[j]);
        plan->pools[i].warms = first;
        n += first;
    }
}

int hf_phpfpm_plan(const HfPhpfpmConfig *config, const HfPhpfpmArguments *arguments,
                   const char *base, const char *aliases, const char *page, bool warms,
                   HfPlan *plan, HfText *error)
{
    /* as in php-fpm the configuration overrides -g, which is relative to the prefix */
    const char *pid_file = config->pid_file ? config->pid_file : arguments->pid_file;
    const char *prefix = arguments->prefix ? arguments->prefix : config->prefix;
    HF_CLEANUP_FREE char *absolute = NULL;

    plan->pools = hf_allocate(config->n_pools, sizeof(*plan->pools));
    if (!plan->pools)
        return -ENOMEM;
    int r = prefix ? join(base, prefix, &absolute) : 0;
    if (r >= 0)
        r = want_pools(config, &(Places){base, absolute, aliases}, plan, error);
    if (r >= 0 && page)
        r = probe_pools(config, page, plan);
    if (r < 0)
        return r;
    if (warms)
        warm_pools(config, plan);
    plan->systemd_interval = config->has_systemd_interval;
    if (plan->readiness == HF_READINESS_AUTO)
        plan->readiness = config->has_systemd_interval ? HF_READINESS_NOTIFY : HF_READINESS_PIDFILE;
    const char *below = absolute && !config->pid_file ? absolute : base;
    return pid_file ? join(below, pid_file, &plan->pid_file) : 0;
}
