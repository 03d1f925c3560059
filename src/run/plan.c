/* SPDX-License-Identifier: MIT */
#include "run/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/process.h"
#include "loop/names.h"
#include "loop/resolved_listener.h"

int hf_plan_new(HfPlan **ret)
{
    HfPlan *plan = hf_allocate(1, sizeof(*plan));
    if (!plan)
        return -ENOMEM;
    plan->references = 1;
    plan->watchdog = HF_USEC_INFINITY;
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
    free(plan->document_root);
    for (size_t i = 0; i < plan->n_wanted; i++) {
        hf_listener_spec_clear(&plan->wanted[i].spec);
        free(plan->wanted[i].alias);
    }
    free(plan->wanted);
    hf_listener_array_clear(&plan->listeners, &plan->n_listeners);
    hf_placement_clear(&plan->placement);
    hf_names_free(plan->names);
    free(plan->include);
    free(plan->restated);
    free(plan->pid_file);
    for (size_t i = 0; i < plan->n_pools; i++) {
        free(plan->pools[i].name);
        free(plan->pools[i].memory_limit);
        free(plan->pools[i].status_path);
        free(plan->pools[i].ping_path);
        free(plan->pools[i].allowed);
        free(plan->pools[i].user);
        free(plan->pools[i].group);
        free(plan->pools[i].chroot);
    }
    free(plan->pools);
    free(plan);
    return NULL;
}

int hf_plan_add_listener(HfPlan *plan, HfListener *listener)
{
    HfListener **grown = reallocarray(plan->listeners, plan->n_listeners + 1, sizeof(HfListener *));

    if (!grown)
        return -ENOMEM;
    plan->listeners = grown;
    plan->listeners[plan->n_listeners++] = hf_listener_ref(listener);
    return 0;
}

int hf_plan_place(HfPlan *plan, HfText *error)
{
    HfPlacement placement;

    for (size_t i = 0; i < plan->n_listeners; i++)
        plan->wanted[i].bound = plan->listeners[i]->bound;
    int r =
        hf_handoff_place_planned(plan->handoff, plan->wanted, plan->n_wanted, &placement, error);
    if (r < 0)
        return r;
    hf_placement_clear(&plan->placement);
    plan->placement = placement;
    return 0;
}

int hf_plan_overlay_arguments(const HfPlan *plan, const char *overlay, char ***arguments)
{
    int r = 0;

    for (const char *const *one = plan->adapter->overlay_arguments; one && *one && r >= 0; one++)
        r = hf_strv_append(arguments, *one);
    return r < 0 ? r : hf_strv_append(arguments, overlay);
}

int hf_plan_number_environment(const HfPlan *plan, uint64_t number, char ***environment)
{
    return plan->handoff->generation
               ? hf_strv_addf(environment, "%s=%llu", plan->handoff->generation,
                              (unsigned long long)number)
               : 0;
}

static int refuse_twin(const HfListener *first, const HfListenerSpec *spec, HfText *error)
{
    char label[HF_ADDRESS_TEXT_MAX];

    hf_address_format(&spec->address, label);
    hf_text_clear(error);
    hf_text_addf(error, "%s and %s are the same place; drop one", first->label, label);
    return -EEXIST;
}

/* One reference to a held listener, or to a new one if there is none or nobody can connect to it.
 */
static int obtain(const HfPlan *plan, const HfListenerSpec *spec, HfListener *const *held,
                  size_t n_held, bool raised, HfListener **ret, HfText *error)
{
    HfListener *found = hf_listener_find(held, n_held, spec);

    if (found && hf_listener_is_lost(found)) { /* remains of it would be in the way */
        hf_listener_release(found);
        found = NULL;
    }
    if (!found) {
        int r = hf_listener_bind(spec, raised, ret, error);
        found =
            r == -EADDRINUSE ? hf_listener_find(plan->listeners, plan->n_listeners, spec) : NULL;
        return found ? refuse_twin(found, spec, error) : r;
    }
    for (size_t i = 0; i < plan->n_listeners; i++)
        if (plan->listeners[i] == found)
            return refuse_twin(found, spec, error);
    *ret = hf_listener_ref(found);
    return 0;
}

int hf_plan_bind(HfPlan *plan, HfListener *const *held, size_t n_held, bool raised,
                 HfPlanFinder find, void *userdata, HfText *error)
{
    plan->listeners = hf_allocate(plan->n_wanted + 1, sizeof(HfListener *));
    if (!plan->listeners)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_wanted; i++) {
        const HfListenerSpec *spec = &plan->wanted[i].spec;
        HfListener **listener = &plan->listeners[plan->n_listeners];
        HF_CLEANUP_TEXT HfText why = {0};
        int r = obtain(plan, spec, held, n_held, raised, listener, &why);
        if (r == -EADDRINUSE && find && find(spec, listener, userdata) == 0)
            r = 0;
        else if (r < 0)
            hf_text_add(error, hf_text_peek(&why));
        if (r < 0)
            return r;
        plan->n_listeners++;
    }
    return hf_plan_place(plan, error);
}

int hf_plan_pair(HfPlan *plan, HfHandover handover, unsigned side, HfText *error)
{
    const HfListener *single = NULL;

    plan->switches = false;
    for (size_t i = 0; i < plan->n_listeners; i++) {
        HfListener *listener = plan->listeners[i];
        if (listener->taken && hf_listener_has_sides(listener) && listener->side != side)
            hf_listener_renumber(listener, side); /* as for all others here */
    }
    if (handover != HF_HANDOVER_AUTO && handover != HF_HANDOVER_SWITCH)
        return 0;
    for (size_t i = 0; i < plan->n_listeners; i++) {
        hf_listener_pair(plan->listeners[i], side);
        if (!single && !hf_listener_has_sides(plan->listeners[i]))
            single = plan->listeners[i];
    }
    if (single && handover == HF_HANDOVER_SWITCH) {
        hf_text_addf(error,
                     "--handover=switch needs a second socket for each listener, and %s has none: "
                     "%s; use --handover=auto",
                     single->label, single->one_side);
        return -EOPNOTSUPP;
    }
    plan->switches = !single && plan->n_listeners > 0;
    return 0;
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

/* ---- lists of listeners ---- */

/* Another name for the same path, or for the first address of a host that was looked up. */
static bool is_alias(const HfListener *held, const HfListenerSpec *spec)
{
    struct sockaddr_storage addresses[HF_RESOLVED_ADDRESSES_MAX];
    unsigned lengths[HF_RESOLVED_ADDRESSES_MAX];
    HfAddress first;

    if (hf_address_is_path(&spec->address))
        return hf_address_is_path(&held->bound) &&
               hf_socket_path_same(held->bound.name, spec->address.name);
    return spec->address.kind == HF_ADDRESS_HOST && spec->names &&
           hf_names_host(spec->names, spec->address.name, spec->address.port, addresses, lengths,
                         HF_RESOLVED_ADDRESSES_MAX) > 0 &&
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
        if (list[i]->activated && spec->name && strcmp(list[i]->spec.name, spec->name) == 0)
            return list[i];
    for (size_t i = 0; i < n; i++)
        if (is_alias(list[i], spec))
            return list[i];
    return NULL;
}

void hf_listener_array_clear(HfListener ***list, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        hf_listener_unref((*list)[i]);
    free(*list);
    *list = NULL;
    *n = 0;
}

int hf_listener_identify(HfListener *const *list, size_t n, HfHeldSockets *ret)
{
    HF_CLEANUP_FREE int *fds = hf_allocate(n * HF_SIDES + 1, sizeof(*fds));
    size_t n_fds = 0;

    if (!fds)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        HF_EACH_SIDE (list[i])
            fds[n_fds++] = list[i]->fds[side];
    return hf_held_sockets_identify(fds, n_fds, ret);
}

/* ---- of settings ---- */

static int find_program(const HfSettings *settings, const HfNames *names, char **ret, HfText *error)
{
    const char *command = settings->command[hf_adapter_first_word(settings)];

    int r = hf_names_program(names, command, settings->directory, ret);
    if (r == -ENOENT && strchr(command, '/'))
        hf_text_addf(error, "there is no program %s; check the path", command);
    else if (r == -ENOENT)
        hf_text_addf(error, "the program %s was not found in PATH; install it, or give its path",
                     command);
    else if (r == -EACCES)
        hf_text_addf(error, "%s is not executable; check its mode and those of its directories",
                     command);
    else if (r < 0)
        hf_text_addf(error, "%s cannot be run: %s", command, strerror(-r));
    return r;
}

static int make_environment(HfPlan *plan, const HfSettings *settings)
{
    int r = hf_strv_copy(plan->credentials.environment, &plan->environment);

    for (char *const *entry = settings->environment; r >= 0 && entry && *entry; entry++)
        r = hf_strv_set(&plan->environment, *entry);
    return r;
}

int hf_plan_of_settings(const HfSettings *settings, HfNames *names, HfPlan **ret, HfText *error)
{
    HfPlan *plan;

    int r = hf_plan_new(&plan);
    if (r < 0)
        return r;
    plan->adapter = hf_adapter_of(settings);
    plan->handoff = hf_handoff_of(settings);
    plan->drain_timeout = settings->drain_timeout;
    plan->readiness = settings->readiness;
    plan->ready_delay = settings->ready_delay;
    plan->stop_signal =
        settings->stop_signal > 0 ? (int)settings->stop_signal : plan->adapter->stop_signal;
    plan->standard_input = settings->standard_input;
    plan->watchdog = settings->watchdog;
    plan->kill_mode = settings->kill_mode;
    plan->reopen_signal = plan->adapter->reopen_signal;
    r = find_program(settings, names, &plan->program, error);
    if (r >= 0 && plan->readiness == HF_READINESS_LOG)
        r = hf_string_set(&plan->ready_text, settings->ready_text);
    if (r >= 0)
        r = hf_names_credentials(names, settings, &plan->credentials, error);
    if (r >= 0)
        r = make_environment(plan, settings);
    if (r >= 0)
        r = hf_string_set(&plan->directory, settings->directory);
    const char *root = settings->document_root ? settings->document_root : settings->directory;
    if (r >= 0 && root)
        (void)hf_names_real_path(names, root, &plan->document_root);
    if (r < 0) {
        hf_plan_unref(plan);
        return r;
    }
    *ret = plan;
    return 0;
}
