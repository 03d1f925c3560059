#include "run/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "config/names.h"

#define KEYS_PER_LISTENER 2 /* a port has two, see hf_phpfpm_key */

int hf_plan_new(HfPlan **ret)
{
    HfPlan *plan = calloc(1, sizeof(*plan));
    if (!plan)
        return -ENOMEM;
    plan->references = 1;
    plan->credentials = HF_CREDENTIALS_NONE;
    *ret = plan;
    return 0;
}

HfPlan *hf_plan_ref(HfPlan *plan)
{
    plan->references++;
    return plan;
}

HfPlan *hf_plan_unref(HfPlan *plan)
{
    if (!plan || --plan->references > 0)
        return NULL;
    free(plan->program);
    free(plan->ready_text);
    hf_strv_free(plan->arguments);
    hf_strv_free(plan->environment);
    hf_credentials_clear(&plan->credentials);
    free(plan->directory);
    for (size_t i = 0; i < plan->n_wanted; i++) {
        hf_listener_spec_clear(&plan->wanted[i].spec);
        free(plan->wanted[i].alias);
    }
    free(plan->wanted);
    hf_listener_array_clear(&plan->listeners, &plan->n_listeners);
    hf_placement_clear(&plan->placement);
    free(plan->include);
    free(plan->pid_file);
    for (size_t i = 0; plan->probed && i < hf_strv_length(plan->pools); i++)
        free(plan->probed[i].status_path);
    free(plan->probed);
    hf_strv_free(plan->pools);
    hf_strv_free(plan->memory_limits);
    free(plan->workers);
    free(plan);
    return NULL;
}

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

/* The address of wanted listener i as far as it is known. */
static const HfAddress *address_of(const HfPlan *plan, size_t i)
{
    const HfAddress *wanted = &plan->wanted[i].spec.address;
    bool bound = i < plan->n_listeners && wanted->kind == HF_ADDRESS_HOST;

    return bound ? &plan->listeners[i]->bound : wanted;
}

typedef struct Keys {
    char texts[KEYS_PER_LISTENER][HF_ADDRESS_TEXT_MAX];
    const char *pointers[KEYS_PER_LISTENER];
} Keys;

static void make_keys(const HfPlan *plan, size_t i, Keys *keys, HfHandoffListener *ret)
{
    size_t n = 0;

    if (plan->wanted[i].alias)
        keys->pointers[n++] = plan->wanted[i].alias;
    while (n < KEYS_PER_LISTENER && !plan->wanted[i].alias) {
        int r = hf_phpfpm_key(address_of(plan, i), (unsigned)n, keys->texts[n]);
        if (r == -ENOENT)
            break;
        keys->pointers[n] = keys->texts[n];
        n++;
        if (r < 0) { /* a host name that is not resolved yet */
            hf_address_format(address_of(plan, i), keys->texts[n - 1]);
            break;
        }
    }
    ret->keys = keys->pointers;
    ret->n_keys = n;
}

/* Server::Starter's own words: HOST:PORT, PORT or a path. */
static void make_port_key(const HfPlan *plan, size_t i, Keys *keys, HfHandoffListener *ret)
{
    hf_address_format(&plan->wanted[i].spec.address, keys->texts[0]);
    keys->pointers[0] = keys->texts[0];
    ret->keys = keys->pointers;
    ret->n_keys = 1;
}

int hf_plan_place(HfPlan *plan, HfText *error)
{
    HF_CLEANUP_FREE HfHandoffListener *listeners = calloc(plan->n_wanted + 1, sizeof(*listeners));
    HF_CLEANUP_FREE Keys *keys = calloc(plan->n_wanted + 1, sizeof(*keys));

    if (!listeners || !keys)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_wanted; i++) {
        listeners[i].name = plan->wanted[i].spec.name;
        if (plan->handoff == HF_HANDOFF_PHP_FPM)
            make_keys(plan, i, &keys[i], &listeners[i]);
        else if (plan->handoff == HF_HANDOFF_SERVER_STARTER)
            make_port_key(plan, i, &keys[i], &listeners[i]);
    }
    HfPlacement placement;
    int r = hf_handoff_place(plan->handoff, listeners, plan->n_wanted, &placement);
    if (r == -E2BIG && plan->handoff == HF_HANDOFF_SERVER_STARTER)
        hf_text_add(error, "--handoff=server-starter cannot name so many listeners; drop some");
    else if (r == -E2BIG)
        hf_text_add(error, "--handoff=stdin takes exactly one listener; add --listen=ADDRESS");
    else if (r < 0)
        hf_text_addf(error, "the sockets cannot be handed over: %s", strerror(-r));
    if (r < 0)
        return r;
    hf_placement_clear(&plan->placement);
    plan->placement = placement;
    return 0;
}

/* One reference to a listener that is held, or newly bound. */
static int obtain(const HfListenerSpec *spec, HfListener *const *held, size_t n_held, bool raised,
                  HfListener **ret, HfText *error)
{
    HfListener *found = hf_listener_find(held, n_held, spec);

    if (!found)
        return hf_listener_bind(spec, raised, ret, error);
    if (hf_listener_is_lost(found)) {
        HF_CLEANUP_TEXT HfText ignored = {0};
        if (hf_listener_bind(spec, raised, ret, &ignored) == 0)
            return 0;
    }
    *ret = hf_listener_ref(found);
    return 0;
}

int hf_plan_bind(HfPlan *plan, HfListener *const *held, size_t n_held, bool raised, HfText *error)
{
    plan->listeners = calloc(plan->n_wanted + 1, sizeof(HfListener *));
    if (!plan->listeners)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_wanted; i++) {
        int r = obtain(&plan->wanted[i].spec, held, n_held, raised,
                       &plan->listeners[plan->n_listeners], error);
        if (r < 0)
            return r;
        plan->n_listeners++;
    }
    return hf_plan_place(plan, error);
}

void hf_plan_apply(HfPlan *plan, bool raised)
{
    for (size_t i = 0; i < plan->n_listeners; i++) {
        HF_CLEANUP_TEXT HfText error = {0};
        HfListener *held = plan->listeners[i];
        int r = hf_listener_respecify(held, &plan->wanted[i].spec, raised, &error);
        if (r < 0) {
            const HfLogFields fields = {.listener = held->label};
            hf_log(LOG_WARNING, &fields, "%s stays as it was: %s", held->label,
                   error.length > 0 ? hf_text_peek(&error) : strerror(-r));
        }
    }
}

/* Unix paths go by their alias; a host name by the address that was bound, whatever the resolver
 * says next time. */
static void override_of(const HfPlan *plan, size_t i, char *buffer, const char **ret)
{
    if (plan->wanted[i].alias) {
        *ret = plan->wanted[i].alias;
    } else if (plan->wanted[i].spec.address.kind == HF_ADDRESS_HOST && i < plan->n_listeners) {
        hf_address_format(&plan->listeners[i]->bound, buffer);
        *ret = buffer;
    }
}

void hf_plan_status_socket(const char *statuses, size_t pool, char *ret)
{
    snprintf(ret, HF_ADDRESS_TEXT_MAX, "%s.%zu", statuses, pool);
}

static void override_probed(const HfPlan *plan, const char *statuses, size_t pool, char *buffer,
                            HfPhpfpmOverride *override)
{
    const HfPlanPool *probed = &plan->probed[pool];

    if (probed->pings)
        override->ping_path = HF_PLAN_PING;
    if (!statuses || !probed->counts)
        return;
    if (probed->writes_path)
        override->status_path = probed->status_path;
    if (probed->listens) {
        hf_plan_status_socket(statuses, pool, buffer);
        override->status_listen = buffer;
    }
}

static bool overrides(const HfPhpfpmOverride *override)
{
    return override->listen || override->status_listen || override->status_path ||
           override->ping_path;
}

int hf_plan_overlay(const HfPlan *plan, const char *pid_file, const char *statuses, HfText *text)
{
    size_t n_pools = hf_strv_length(plan->pools);
    HF_CLEANUP_FREE HfPhpfpmOverride *list = calloc(n_pools + 1, sizeof(*list));
    HF_CLEANUP_FREE char *buffers = calloc(plan->n_wanted + n_pools + 1, HF_ADDRESS_TEXT_MAX);

    if (!list || !buffers)
        return -ENOMEM;
    for (size_t i = 0; i < n_pools; i++)
        list[i].pool = plan->pools[i];
    for (size_t i = 0; i < plan->n_wanted; i++) {
        HfPhpfpmOverride *override = &list[plan->wanted[i].pool];
        override_of(plan, i, &buffers[i * HF_ADDRESS_TEXT_MAX],
                    plan->wanted[i].status ? &override->status_listen : &override->listen);
    }
    for (size_t i = 0; plan->probed && i < n_pools; i++)
        override_probed(plan, statuses, i, &buffers[(plan->n_wanted + i) * HF_ADDRESS_TEXT_MAX],
                        &list[i]);
    size_t n = 0;
    for (size_t i = 0; i < n_pools; i++)
        if (overrides(&list[i]))
            list[n++] = list[i];

    const HfPhpfpmOverlay overlay = {
        .include = plan->include,
        .pid_file = pid_file,
        .drain_timeout = plan->drain_timeout,
        .systemd_interval = plan->systemd_interval,
        .overrides = list,
        .n_overrides = n,
    };
    return hf_phpfpm_overlay(&overlay, text);
}
