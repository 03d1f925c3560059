#include "run/scoreboard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/reach.h"

static bool is_private(const HfPlan *plan, size_t pool)
{
    const unsigned both = HF_POOL_COUNTS | HF_POOL_LISTENS;

    return (plan->pools[pool].probe & both) == both;
}

/* The longest of the paths, for the pools that have one; 0: none has. */
static size_t longest(const HfPlan *plan, const char *statuses)
{
    char path[HF_ADDRESS_TEXT_MAX];
    size_t length = 0;

    for (size_t i = 0; i < plan->n_pools; i++) {
        if (!is_private(plan, i))
            continue;
        hf_plan_status_socket(statuses, i, path);
        length = strlen(path); /* the index only grows */
    }
    return length;
}

int hf_scoreboard_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number, char **ret)
{
    const HfCredentials *credentials = &plan->credentials;
    HF_CLEANUP_FREE char *statuses = NULL;

    if (!hf_plan_is_probed(plan) || runtime->in_memory) /* php-fpm listens at no abstract name */
        return 0;
    int r = hf_runtime_statuses(runtime, number, &statuses);
    if (r < 0)
        return r;
    if (longest(plan, statuses) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        hf_log(LOG_WARNING, &(HfLogFields){.generation = number},
               "%s is too long a path for sockets: a busy php-fpm cannot be told from a dead one; "
               "choose a shorter --name",
               statuses);
        return 0;
    }
    if (mkdir(runtime->statuses, 0755) < 0 && errno != EEXIST)
        return -errno;
    if (credentials->has_user && lchown(runtime->statuses, credentials->uid, credentials->gid) < 0)
        return -errno;
    *ret = HF_STEAL(statuses);
    return 0;
}

void hf_scoreboard_remove(const HfPlan *plan, const char *statuses)
{
    char path[HF_ADDRESS_TEXT_MAX];

    if (!statuses)
        return;
    for (size_t i = 0; i < plan->n_pools; i++) {
        if (!is_private(plan, i))
            continue;
        hf_plan_status_socket(statuses, i, path);
        unlink(path);
    }
}

/* The user's own is a listener that is held. */
static int find_listener(const HfPlan *plan, size_t pool, struct sockaddr_storage *ret,
                         socklen_t *ret_length)
{
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (plan->wanted[i].status && plan->wanted[i].pool == pool)
            return hf_socket_reach(plan->listeners[i]->fd, ret, ret_length);
    return -ENOENT;
}

int hf_scoreboard_find(const HfPlan *plan, const char *statuses, size_t pool,
                       struct sockaddr_storage *ret, socklen_t *ret_length)
{
    char path[HF_ADDRESS_TEXT_MAX];
    HfAddress address;

    if (!statuses || !(plan->pools[pool].probe & HF_POOL_COUNTS))
        return -ENOENT;
    if (!(plan->pools[pool].probe & HF_POOL_LISTENS))
        return find_listener(plan, pool, ret, ret_length);
    hf_plan_status_socket(statuses, pool, path);
    int r = hf_address_parse(path, &address);
    return r < 0 ? r : hf_address_to_sockaddr(&address, ret, ret_length);
}
