#include "run/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "loop/names.h"

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
    hf_names_free(plan->names);
    free(plan->include);
    free(plan->restated);
    free(plan->pid_file);
    for (size_t i = 0; i < plan->n_pools; i++) {
        free(plan->pools[i].name);
        free(plan->pools[i].memory_limit);
        free(plan->pools[i].status_path);
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
    HF_CLEANUP_TEXT HfText entry = {0};
    char *string;

    if (!plan->handoff->generation)
        return 0;
    hf_text_addf(&entry, "%s=%llu", plan->handoff->generation, (unsigned long long)number);
    int r = hf_text_take(&entry, &string);
    return r < 0 ? r : hf_strv_consume(environment, string);
}

/* One reference to a listener that is held, or newly bound: also where nobody can connect to the
 * one that is held. */
static int obtain(const HfListenerSpec *spec, HfListener *const *held, size_t n_held, bool raised,
                  HfListener **ret, HfText *error)
{
    HfListener *found = hf_listener_find(held, n_held, spec);

    if (!found || hf_listener_is_lost(found))
        return hf_listener_bind(spec, raised, ret, error);
    *ret = hf_listener_ref(found);
    return 0;
}

int hf_plan_bind(HfPlan *plan, HfListener *const *held, size_t n_held, bool raised,
                 HfPlanFinder find, void *userdata, HfText *error)
{
    plan->listeners = calloc(plan->n_wanted + 1, sizeof(HfListener *));
    if (!plan->listeners)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_wanted; i++) {
        const HfListenerSpec *spec = &plan->wanted[i].spec;
        HfListener **listener = &plan->listeners[plan->n_listeners];
        HF_CLEANUP_TEXT HfText why = {0};
        int r = obtain(spec, held, n_held, raised, listener, &why);
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
