#include "run/part.h"

#include <errno.h>

#include "base/memory.h"

int hf_offer_add(HfOffer *offer, HfListener *listener)
{
    int r = hf_array_reserve(&offer->list, &offer->size, offer->n + 1, sizeof(*offer->list));
    if (r >= 0)
        offer->list[offer->n++] = listener;
    return r;
}

const HfTrialStep *hf_parts_trial(const HfPart *const *parts)
{
    for (size_t i = 0; parts[i]; i++)
        if (parts[i]->trial)
            return parts[i]->trial;
    return NULL;
}
