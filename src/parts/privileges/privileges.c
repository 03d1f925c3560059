/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "format/capability.h"
#include "kernel/privilege.h"
#include "loop/names.h"
#include "parts/privileges/capability_needs.h"
#include "run/supervisor.h"

typedef struct HfPrivileges {
    HfSupervisor *supervisor;
    uint64_t given_up; /* capabilities, 1 << number */
    bool dropped;      /* no other capabilities are left than the plan needs */
} HfPrivileges;

/* May root without capabilities create and remove files beside path? */
static bool is_beside_open(const char *path)
{
    const char *slash = strrchr(path, '/');
    HF_CLEANUP_FREE char *directory = NULL;

    if (!slash)
        return hf_privilege_is_open(".", W_OK | X_OK);
    directory = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return directory && hf_privilege_is_open(directory, W_OK | X_OK);
}

static bool has_port(const HfAddress *address)
{
    return address->kind == HF_ADDRESS_HOST || address->kind == HF_ADDRESS_PORT ||
           address->kind == HF_ADDRESS_INET || address->kind == HF_ADDRESS_INET6;
}

/* A socket from systemd is never bound by us, but may have to be connected to. */
static void look_at_listener(const HfListenerSpec *spec, const HfListener *held,
                             unsigned first_port, HfCapabilityNeedFacts *facts)
{
    bool activated = held && held->activated;

    if (has_port(&spec->address) && spec->address.port > 0 && spec->address.port < first_port)
        facts->low_port |= !activated;
    if (!hf_address_is_path(&spec->address))
        return;
    if (!activated && (spec->owner || spec->group || spec->acl_users || spec->acl_groups))
        facts->path_rights = true;
    if (!hf_privilege_is_open(spec->address.name, W_OK) ||
        (!activated && !is_beside_open(spec->address.name)))
        facts->foreign_directory = true;
}

static bool are_files_open(const HfPlan *plan)
{
    return hf_names_open(plan->names, plan->program, X_OK) &&
           (!plan->directory || hf_names_open(plan->names, plan->directory, X_OK)) &&
           (!plan->include || plan->include[0] != '/' ||
            hf_names_open(plan->names, plan->include, R_OK));
}

/* Private ones may be foreign if an older holdfast made the plan. */
static bool are_sockets_foreign(const HfPlan *plan)
{
    const unsigned made = HF_POOL_COUNTS | HF_POOL_LISTENS;

    for (size_t i = 0; i < plan->n_pools; i++)
        if ((plan->pools[i].probe & (made | HF_POOL_OURS)) == made)
            return true;
    return false;
}

/* held: sockets that are bound already. */
static HfCapabilityNeedFacts learn_facts(const HfPlan *plan, HfListener *const *held, size_t n_held)
{
    const HfCredentials *credentials = &plan->credentials;
    unsigned first_port = hf_privilege_first_port();
    HfCapabilityNeedFacts facts = {
        .service = true,
        .user = credentials->has_user || credentials->has_group,
        .foreign_pid_file = credentials->has_user && plan->adapter->overlay != NULL,
        .scoreboards = are_sockets_foreign(plan),
        .narrowed = credentials->capabilities != HF_CAPABILITIES_ALL,
    };

    for (size_t i = 0; i < plan->n_wanted; i++)
        look_at_listener(&plan->wanted[i].spec,
                         hf_listener_find(held, n_held, &plan->wanted[i].spec), first_port, &facts);
    if (plan->pid_file && !is_beside_open(plan->pid_file))
        facts.foreign_directory = true;
    facts.private_files = !are_files_open(plan);
    return facts;
}

/* What the service needs itself: as root it usually gets everything back by its exec. */
static uint64_t passed_on(const HfPlan *plan)
{
    const HfCredentials *credentials = &plan->credentials;

    if (credentials->has_user && credentials->uid != 0)
        return 0;
    if (hf_privilege_returns() && !credentials->no_new_privileges)
        return 0;
    return credentials->capabilities;
}

/* Verifies the result: a holdfast that could not give them up must not serve. */
static int drop_capabilities(HfPrivileges *privileges, const HfPlan *plan, HfText *error)
{
    HF_CLEANUP_TEXT HfText kept = {0};
    uint64_t before;

    if (geteuid() != 0 || privileges->dropped)
        return 0;
    int r = hf_privilege_permitted(&before);
    if (r >= 0) {
        const HfCapabilityNeedFacts facts = learn_facts(plan, plan->listeners, plan->n_listeners);
        uint64_t needed = hf_capability_needs_of(&facts) | passed_on(plan);
        r = hf_privilege_keep(needed);
        privileges->given_up = before & ~needed;
        hf_capabilities_format(before & needed, &kept);
    }
    if (r < 0) {
        hf_text_addf(error, "the capabilities that are not needed cannot be given up: %s",
                     strerror(-r));
        return r;
    }
    privileges->dropped = true;
    hf_log(LOG_DEBUG, NULL, "of its capabilities holdfast keeps: %s", hf_text_peek(&kept));
    return 0;
}

/* ---- the part ---- */

/* execve(2) has given everything back. */
static int privileges_begun(void *state, HfText *error)
{
    HfPrivileges *privileges = state;
    const HfPlan *plan = privileges->supervisor->current;

    return plan ? drop_capabilities(privileges, plan, error) : 0;
}

/* Are the remaining capabilities enough to bind and serve the plan? */
static int privileges_offer(void *state, HfPlan *plan, HfOffer *offer, HfText *error)
{
    const HfPrivileges *privileges = state;

    if (privileges->given_up == 0)
        return 0;
    const HfCapabilityNeedFacts facts = learn_facts(plan, offer->list, offer->n);
    uint64_t passed = passed_on(plan) & privileges->given_up;
    const HfCapabilityNeed *need = hf_capability_need_find(&facts, privileges->given_up);
    HF_CLEANUP_TEXT HfText names = {0};

    if (!need && passed == 0)
        return 0;
    hf_capabilities_format(need ? UINT64_C(1) << need->capability : passed, &names);
    hf_text_addf(error,
                 "this needs the capability %s, %s; holdfast gave it up at its start, as nothing "
                 "needed it then: stop holdfast and start it anew",
                 hf_text_peek(&names), need ? need->why : "to pass it on to the service");
    return -EPERM;
}

static int privileges_bound(void *state, const HfPlan *plan, HfText *error)
{
    return drop_capabilities(state, plan, error);
}

static void describe_passed(uint64_t passed, HfText *report)
{
    if (passed == HF_CAPABILITIES_ALL) {
        hf_text_add(report, "  all  to pass them on to the service, which no_new_privs keeps from "
                            "gaining them\n");
    } else if (passed != 0) {
        hf_text_add(report, "  ");
        hf_capabilities_format(passed, report);
        hf_text_add(report, "  to pass them on to the service\n");
    }
}

static void privileges_describe(const HfPlan *plan, const HfSettings *settings, HfText *report)
{
    (void)settings;
    if (geteuid() != 0) {
        hf_text_add(report, "Privileges: holdfast is not root and changes none\n");
        return;
    }
    const HfCapabilityNeedFacts facts = learn_facts(plan, plan->listeners, plan->n_listeners);
    hf_text_add(report, "Capabilities that holdfast keeps once its sockets are bound:\n");
    for (size_t i = 0; i < hf_capability_need_count; i++)
        if (hf_capability_need_applies(&hf_capability_needs[i], &facts))
            hf_text_addf(report, "  %s  %s\n",
                         hf_capability_name(hf_capability_needs[i].capability),
                         hf_capability_needs[i].why);
    describe_passed(passed_on(plan), report);
}

const HfPart hf_part_privileges = {
    .name = "privileges",
    .state_size = sizeof(HfPrivileges),
    .begun = privileges_begun,
    .offer = privileges_offer,
    .bound = privileges_bound,
    .describe = privileges_describe,
};
