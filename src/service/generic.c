/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/settings.h"
#include "service/adapter.h"

#define ON_DEMAND_KEPT 8 /* processes that wait idle where all others are on demand */

int hf_plan_want(HfPlan *plan, const HfListenerSpec *spec, HfPlanned **ret)
{
    if (plan->n_wanted >= HF_LISTENERS_MAX)
        return -E2BIG;
    HfPlanned *grown = reallocarray(plan->wanted, plan->n_wanted + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    plan->wanted = grown;
    HfPlanned *planned = &grown[plan->n_wanted];
    memset(planned, 0, sizeof(*planned));
    int r = hf_listener_spec_copy(spec, &planned->spec);
    if (r >= 0 && !planned->spec.name)
        r = hf_name_of_address(&spec->address, &planned->spec.name);
    if (r < 0) {
        hf_listener_spec_clear(&planned->spec);
        return r;
    }
    plan->n_wanted++;
    if (ret)
        *ret = planned;
    return 0;
}

void hf_plan_status_socket(const char *statuses, size_t pool, char *ret)
{
    snprintf(ret, HF_ADDRESS_TEXT_MAX, "%s.%zu", statuses, pool);
}

void hf_plan_warm_socket(const char *statuses, size_t pool, bool left, char *ret)
{
    snprintf(ret, HF_ADDRESS_TEXT_MAX, "%s.%c%zu", statuses, left ? 'k' : 'w', pool);
}

HfProbe hf_plan_probe(const HfPlan *plan, size_t listener, const HfAddress *address,
                      const HfProbe *probe)
{
    uint64_t i = plan->wanted[listener].pool;
    const HfPlanPool *pool = i < plan->n_pools ? &plan->pools[i] : NULL;

    if (probe->kind != HF_PROBE_FASTCGI || !pool)
        return *probe;
    if (pool->closed && !hf_address_is_path(address))
        return (HfProbe){.kind = HF_PROBE_TCP};
    if (pool->ping_path && strcmp(probe->what, HF_PLAN_PING) == 0)
        return (HfProbe){.kind = HF_PROBE_FASTCGI, .what = pool->ping_path};
    return *probe;
}

bool hf_plan_keeps(const HfPlan *plan, size_t pool)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n_pools; i++)
        n += plan->pools[i].warms && plan->pools[i].on_demand;
    return !plan->pools[pool].on_demand || n <= ON_DEMAND_KEPT;
}

bool hf_plan_warms(const HfPlan *plan)
{
    for (size_t i = 0; plan->switches && i < plan->n_pools; i++)
        if (plan->pools[i].warms)
            return true;
    return false;
}

static bool is_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

bool hf_plan_pools_share(const HfPlanPool *a, const HfPlanPool *b)
{
    return is_same(a->user, b->user) && is_same(a->group, b->group) &&
           is_same(a->chroot, b->chroot);
}

void hf_question_clear(HfQuestion *question)
{
    hf_strv_free(question->arguments);
    hf_text_clear(&question->input);
    *question = (HfQuestion){0};
}

int hf_adapter_discover_settings(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret,
                                 HfText *error)
{
    const HfSettings *settings = discovery->settings;
    HfPlan *plan = discovery->plan;

    (void)answer, (void)ret, (void)error;
    if (discovery->step++ > 0)
        return HF_STEP_DONE;
    if (plan->readiness == HF_READINESS_AUTO)
        plan->readiness = HF_READINESS_DELAY;
    int r = hf_strv_copy(settings->command, &plan->arguments);
    for (size_t i = 0; r >= 0 && i < settings->n_listeners; i++)
        r = hf_plan_want(plan, &settings->listeners[i], NULL);
    return r < 0 ? r : HF_STEP_BIND;
}

const HfAdapter hf_adapter_generic = {
    .name = "generic",
    .handoff = &hf_handoff_listen_fds,
    .stop_signal = SIGTERM,
    .reopen_signal = SIGUSR1,
    .discover = hf_adapter_discover_settings,
};

const HfAdapter hf_adapter_php_cgi = {
    .name = "php-cgi",
    .program = "php-cgi",
    .handoff = &hf_handoff_stdin,
    .stop_signal = SIGTERM,
    .fastcgi = true,
    .leaks = true,
    .discover = hf_adapter_discover_settings,
};
