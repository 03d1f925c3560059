#include "parts/trial/stand_ins.h"

#include <errno.h>
#include <stdlib.h>

#define MODE 0600

void hf_standins_clear(HfStandIns *standins)
{
    hf_listener_array_clear(&standins->listeners, &standins->n);
    free(standins->addresses);
    free(standins->labels);
    *standins = (HfStandIns){0};
}

static int bind_one(const char *directory, size_t number, HfListener **ret, HfText *error)
{
    HF_CLEANUP_TEXT HfText path = {0};
    HfListenerSpec spec;

    hf_listener_spec_init(&spec);
    spec.mode = MODE;
    hf_text_addf(&path, "%s/canary.%zu", directory, number);
    int r = hf_address_parse(hf_text_peek(&path), &spec.address);
    return r < 0 ? r : hf_listener_bind(&spec, false, ret, error);
}

int hf_standins_bind(const HfPlan *plan, const char *directory, HfStandIns *ret, HfText *error)
{
    *ret = (HfStandIns){
        .listeners = calloc(plan->n_listeners + 1, sizeof(HfListener *)),
        .addresses = calloc(plan->n_listeners + 1, sizeof(const HfAddress *)),
        .labels = calloc(plan->n_listeners + 1, sizeof(const char *)),
    };
    if (!ret->listeners || !ret->addresses || !ret->labels)
        return -ENOMEM;
    for (size_t i = 0; i < plan->n_listeners; i++) {
        int r = bind_one(directory, i, &ret->listeners[i], error);
        if (r < 0)
            return r;
        ret->n++;
        if (plan->wanted[i].status)
            continue;
        ret->addresses[ret->n_serving] = &ret->listeners[i]->spec.address;
        ret->labels[ret->n_serving++] = plan->listeners[i]->label;
    }
    return 0;
}
