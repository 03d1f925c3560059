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

static int parse_page(const HfOption *option, const char *uri, void *field, HfText *error)
{
    HF_CLEANUP_TEXT HfText request = {0};

    int r = hf_fastcgi_request(&(HfFastcgiRequest){.uri = uri}, &request);
    if (r == -EINVAL || r == -E2BIG)
        return hf_option_refuse(error,
                                "--%s: %s is no page that can be asked for; write it from the "
                                "root, without blanks, as /healthz.php",
                                option->name, HF_QUOTE(uri));
    return r < 0 ? r : hf_string_set(field, uri);
}

static int parse_probe(const HfOption *option, const char *value, void *field, HfText *error)
{
    HfProbe *probe = field;
    const char *uri = after(value, "fastcgi:");
    const char *command = after(value, "exec:");

    if (!uri && !command)
        return hf_option_refuse(error, "--%s: %s is unknown; write fastcgi:/PATH or exec:COMMAND",
                                option->name, HF_QUOTE(value));
    if (command && *command == '\0')
        return hf_option_refuse(error, "--%s: there is no command after exec:", option->name);
    int r =
        uri ? parse_page(option, uri, &probe->what, error) : hf_string_set(&probe->what, command);
    if (r >= 0)
        probe->kind = uri ? HF_PROBE_FASTCGI : HF_PROBE_EXEC;
    return r;
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
    if (!after(value, "fastcgi:") && !after(value, "exec:"))
        return hf_option_refuse(error,
                                "--%s: %s is unknown; write fastcgi:/PATH, tcp, exec:COMMAND or "
                                "none",
                                option->name, HF_QUOTE(value));
    return parse_probe(option, value, field, error);
}

static void show_health(const HfOption *option, const void *field, HfText *text)
{
    (void)option, (void)field;
    hf_text_add(text, "none");
}

const HfOptionType hf_option_type_page = {.parse = parse_page, .equal = hf_option_equal_string};
const HfOptionType hf_option_type_probe = {.parse = parse_probe, .equal = equal_probe};
const HfOptionType hf_option_type_health = {
    .parse = parse_health, .show = show_health, .equal = equal_probe};
