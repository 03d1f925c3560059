#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "config/options_table.h"
#include "format/fastcgi.h"

static const char *after(const char *value, const char *prefix)
{
    size_t length = strlen(prefix);

    return strncmp(value, prefix, length) == 0 ? value + length : NULL;
}

static const struct {
    const char *prefix;
    HfProbeKind kind;
} schemes[] = {{"fastcgi:", HF_PROBE_FASTCGI}, {"http:", HF_PROBE_HTTP}, {"exec:", HF_PROBE_EXEC}};

static bool has_scheme(const char *value)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
        if (after(value, schemes[i].prefix))
            return true;
    return false;
}

static int set_probe(const HfOption *option, HfProbeKind kind, const char *what, HfProbe *probe,
                     HfText *error)
{
    HF_CLEANUP_TEXT HfText request = {0};
    int r =
        kind == HF_PROBE_EXEC ? 0 : hf_fastcgi_request(&(HfFastcgiRequest){.uri = what}, &request);

    if (r == -EINVAL || r == -E2BIG)
        return hf_option_refuse(error,
                                "--%s: %s is no page that can be asked for; write it from the "
                                "root, without blanks, as /healthz.php",
                                option->name, HF_QUOTE(what));
    if (kind == HF_PROBE_EXEC && *what == '\0')
        return hf_option_refuse(error, "--%s: there is no command after exec:", option->name);
    if (r >= 0)
        r = hf_string_set(&probe->what, what);
    if (r >= 0)
        probe->kind = kind;
    return r;
}

static int parse_page(const HfOption *option, const char *uri, void *field, HfText *error)
{
    return set_probe(option, HF_PROBE_FASTCGI, uri, field, error);
}

static int parse_probe(const HfOption *option, const char *value, void *field, HfText *error)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        const char *what = after(value, schemes[i].prefix);
        if (what)
            return set_probe(option, schemes[i].kind, what, field, error);
    }
    return hf_option_refuse(error,
                            "--%s: %s is unknown; write fastcgi:/PATH, http:/PATH or exec:COMMAND",
                            option->name, HF_QUOTE(value));
}

static bool equal_probe(const void *a, const void *b)
{
    const HfProbe *left = a;
    const HfProbe *right = b;

    return left->kind == right->kind && hf_option_equal_string(&left->what, &right->what);
}

static int parse_health(const HfOption *option, const char *value, void *field, HfText *error)
{
    HfProbe *probe = field;
    bool tcp = strcmp(value, "tcp") == 0;

    if (tcp || strcmp(value, "none") == 0) {
        probe->kind = tcp ? HF_PROBE_TCP : HF_PROBE_NONE;
        return hf_string_set(&probe->what, NULL);
    }
    if (!has_scheme(value))
        return hf_option_refuse(error,
                                "--%s: %s is unknown; write fastcgi:/PATH, http:/PATH, tcp, "
                                "exec:COMMAND or none",
                                option->name, HF_QUOTE(value));
    return parse_probe(option, value, field, error);
}

static void show_health(const HfOption *option, const void *field, HfText *text)
{
    (void)option, (void)field;
    hf_text_add(text, "none");
}

const HfOptionType hf_option_type_page = {.parse = parse_page, .equal = equal_probe};
const HfOptionType hf_option_type_probe = {.parse = parse_probe, .equal = equal_probe};
const HfOptionType hf_option_type_health = {
    .parse = parse_health, .show = show_health, .equal = equal_probe};
