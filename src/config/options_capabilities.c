#include <errno.h>
#include <string.h>

#include "config/options_table.h"
#include "format/capability.h"

static int refuse(const HfOption *option, const char *name, size_t length, HfText *error)
{
    const char *known[HF_CAPABILITY_COUNT];
    char echo[HF_OPTION_ECHO_SIZE];

    for (unsigned i = 0; i < HF_CAPABILITY_COUNT; i++)
        known[i] = hf_capability_name(i);
    const char *nearest = hf_option_nearest(name, length, known, HF_CAPABILITY_COUNT);
    hf_text_addf(error, "--%s: %s is no capability; ", option->name,
                 hf_option_echo(name, length, true, echo));
    if (nearest)
        hf_text_addf(error, "did you mean %s?", nearest);
    else
        hf_text_add(error, "write none, or names of capabilities(7) as net_bind_service,kill");
    return -EINVAL;
}

static int parse(const HfOption *option, const char *value, void *field, HfText *error)
{
    const char *unknown;
    size_t length;

    int r = hf_capabilities_parse(value, field, &unknown, &length);
    return r < 0 ? refuse(option, unknown, length, error) : 0;
}

const HfOptionType hf_option_type_capabilities = {.parse = parse, .equal = hf_option_equal_number};
