/* SPDX-License-Identifier: MIT */
#include "run/part.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

int hf_offer_add(HfOffer *offer, HfListener *const *listeners, size_t n)
{
    int r = hf_array_reserve(&offer->list, &offer->size, offer->n + n, sizeof(HfListener *));

    for (size_t i = 0; r >= 0 && i < n; i++)
        offer->list[offer->n++] = listeners[i];
    return r;
}

const HfTrialStep *hf_parts_trial(const HfPart *const *parts)
{
    for (size_t i = 0; parts[i]; i++)
        if (parts[i]->trial)
            return parts[i]->trial;
    return NULL;
}

bool hf_parts_have(const HfPart *const *parts, const char *name)
{
    for (size_t i = 0; parts[i]; i++)
        if (strcmp(parts[i]->name, name) == 0)
            return true;
    return false;
}

/* The part that implements an option, or NULL: run itself. */
static const char *part_of_option(const char *option)
{
    static const struct {
        const char *prefix; /* of options */
        const char *part;
    } table[] = {
        {"busy-after", "fallback"},  {"canary", "trial"},        {"preflight", "trial"},
        {"warm", "trial"},           {"document-root", "trial"}, {"on-event", "events"},
        {"watchdog", "probe"},       {"probe", "probe"},         {"queue-", "watch"},
        {"recycle-memory", "watch"}, {"recycle-check", "watch"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strncmp(option, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].part;
    return NULL;
}

int hf_parts_check(const HfPart *const *parts, const HfSettings *settings, HfText *error)
{
    const char *names[HF_OPTIONS_MAX];
    HfSettings defaults;

    hf_settings_init(&defaults);
    size_t n = hf_options_difference(&defaults, settings, false, names);
    for (size_t i = 0; i < n; i++) {
        const char *part = part_of_option(names[i]);
        if (!part || hf_parts_have(parts, part))
            continue;
        hf_text_addf(error, "--%s: " HF_PART_MISSING "%s", names[i], part);
        return -EINVAL;
    }
    bool log = settings->readiness == HF_READINESS_LOG && !hf_parts_have(parts, "ready_log");
    if (log || (settings->take_over && !hf_parts_have(parts, "inherit"))) {
        hf_text_addf(error, "--%s",
                     log ? "ready=log: " HF_PART_MISSING "ready_log"
                         : "take-over: " HF_PART_MISSING "inherit");
        return -EINVAL;
    }
    return 0;
}
