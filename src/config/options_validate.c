/* Whether options agree with each other, and in which two settings differ. */
#include <string.h>

#include "config/options_table.h"

static int refuse_twins(const HfListenerSpec *a, const HfListenerSpec *b, HfText *error)
{
    char texts[2][HF_ADDRESS_TEXT_MAX];
    bool same = hf_address_equal(&a->address, &b->address);

    hf_address_format(&a->address, texts[0]);
    hf_address_format(&b->address, texts[1]);
    if (same && strcmp(texts[0], texts[1]) == 0)
        return hf_option_refuse(error, "--listen: %s is given twice; drop one", HF_QUOTE(texts[0]));
    if (same)
        return hf_option_refuse(error, "--listen: %s and %s are the same place; drop one",
                                HF_QUOTE(texts[0]), HF_QUOTE(texts[1]));
    return hf_option_refuse(error, "--listen: %s and %s are both named %s; rename one",
                            HF_QUOTE(texts[0]), HF_QUOTE(texts[1]), a->name);
}

static int validate_listeners(const HfSettings *settings, HfText *error)
{
    const HfListenerSpec *list = settings->listeners;

    for (size_t i = 1; i < settings->n_listeners; i++)
        for (size_t j = 0; j < i; j++) {
            bool same_name =
                list[i].name && list[j].name && strcmp(list[i].name, list[j].name) == 0;
            if (same_name || hf_address_equal(&list[i].address, &list[j].address))
                return refuse_twins(&list[j], &list[i], error);
        }
    return 0;
}

static int validate_canary(const HfSettings *settings, HfText *error)
{
    if (settings->canary_root && settings->canary.kind != HF_PROBE_FASTCGI)
        return hf_option_refuse(error,
                                "--canary-root is for --canary=fastcgi:/PATH only; add that, "
                                "or drop it");
    return 0;
}

static int validate_probe(const HfSettings *settings, HfText *error)
{
    HF_CLEANUP_SETTINGS HfSettings defaults;
    HfProbeKind kind = settings->probe.kind;

    hf_settings_init(&defaults);
    bool hung = settings->probe_hung_after != defaults.probe_hung_after;
    if (kind == HF_PROBE_NONE && (hung || settings->probe_every != defaults.probe_every ||
                                  settings->probe_timeout != defaults.probe_timeout ||
                                  settings->probe_failures != defaults.probe_failures))
        return hf_option_refuse(error,
                                "--probe-every, --probe-timeout, --probe-failures and "
                                "--probe-hung-after say how to probe, but nothing says what; add "
                                "--probe, as --probe=fastcgi:/ping");
    if (settings->recycle_memory == 0 && settings->recycle_check != defaults.recycle_check)
        return hf_option_refuse(error,
                                "--recycle-check says how often to look at the memory, but nothing "
                                "says how much it may be; add --recycle-memory=BYTES");
    return 0;
}

int hf_options_validate_call(const HfCommandLine *line, HfText *error)
{
    const HfCall *call = &line->call;
    HF_CLEANUP_SETTINGS HfSettings defaults;

    hf_settings_init(&defaults);
    if (call->unit && (call->name || call->no_wait))
        return hf_option_refuse(error, "--unit ends what is left of a systemd unit and waits for "
                                       "it; it goes with neither --name nor --no-wait");
    if (line->verb == HF_VERB_STOP && !call->unit &&
        line->settings.drain_timeout != defaults.drain_timeout)
        return hf_option_refuse(error, "--drain-timeout of stop is for what --unit finds; an "
                                       "instance has its own");
    return 0;
}

static int validate_headers(const HfSettings *settings, HfText *error)
{
    bool used = settings->probe.kind == HF_PROBE_HTTP || settings->canary.kind == HF_PROBE_HTTP;

    if (settings->http_headers && !used)
        return hf_option_refuse(error, "--http-header is for requests over HTTP, but there are "
                                       "none; add --probe=http:/PATH, or drop it");
    return 0;
}

int hf_options_validate_probe(const HfCommandLine *line, HfText *error)
{
    HfProbeKind kind = line->settings.probe.kind;

    if (kind == HF_PROBE_EXEC)
        return hf_option_refuse(error, "--probe=exec: asks no ADDRESS; run the command itself");
    if (line->probing.root && kind != HF_PROBE_FASTCGI)
        return hf_option_refuse(error, "--fastcgi-root is for --fastcgi=/PATH only; add that, or "
                                       "drop it");
    return validate_headers(&line->settings, error);
}

int hf_options_validate(const HfSettings *settings, HfText *error)
{
    int r = validate_listeners(settings, error);

    if (r >= 0)
        r = validate_canary(settings, error);
    if (r >= 0)
        r = validate_probe(settings, error);
    return r < 0 ? r : validate_headers(settings, error);
}

bool hf_option_equal_string(const void *a, const void *b)
{
    const char *left = *(const char *const *)a;
    const char *right = *(const char *const *)b;

    return left && right ? strcmp(left, right) == 0 : left == right;
}

bool hf_option_equal_number(const void *a, const void *b)
{
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

bool hf_option_equal(const HfOption *option, const HfCommandLine *a, const HfCommandLine *b)
{
    const void *left = (const char *)a + option->offset;
    const void *right = (const char *)b + option->offset;

    if (option->type->equal)
        return option->type->equal(left, right);
    return memcmp(left, right, option->type->no_value ? sizeof(bool) : sizeof(int)) == 0;
}

size_t hf_options_difference(const HfSettings *a, const HfSettings *b, bool fixed,
                             const char *ret[HF_OPTIONS_MAX])
{
    const HfCommandLine left = {.settings = *a};
    const HfCommandLine right = {.settings = *b};
    size_t n = 0;

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        if (option->in_file && option->fixed == fixed && !hf_option_equal(option, &left, &right))
            ret[n++] = option->name;
    }
    return n;
}
