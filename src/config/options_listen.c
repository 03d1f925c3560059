#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/options_table.h"

#define ACCOUNT_MAX 255 /* bytes of a user's or group's name */

static int parse_backlog(const char *value, HfListenerSpec *spec, HfText *error)
{
    uint64_t backlog;

    if (strcmp(value, "max") == 0) {
        spec->backlog = HF_BACKLOG_MAXIMUM;
        return 0;
    }
    if (hf_parse_uint(value, INT_MAX, &backlog) < 0 || backlog == 0)
        return hf_option_refuse(error,
                                "--listen: %s is no backlog; write a number from 1 to %d, or max",
                                HF_QUOTE(value), INT_MAX);
    spec->backlog = (int)backlog;
    return 0;
}

static int parse_mode(const char *value, HfListenerSpec *spec, HfText *error)
{
    unsigned mode;

    if (hf_parse_mode(value, &mode) < 0 || mode > 0777)
        return hf_option_refuse(
            error, "--listen: %s is no mode; write it octal, up to 0777, as 0660", HF_QUOTE(value));
    spec->mode = mode;
    return 0;
}

static int parse_account(const char *what, const char *value, char **field, HfText *error)
{
    size_t length = strlen(value);
    bool good = length > 0 && length <= ACCOUNT_MAX;

    for (size_t i = 0; i < length && good; i++)
        good = (unsigned char)value[i] > ' ' && value[i] != 0x7f && !strchr(":/", value[i]);
    if (!good)
        return hf_option_refuse(error, "--listen: %s is no %s; write a name or a number",
                                HF_QUOTE(value), what);
    return hf_string_set(field, value);
}

static int parse_owner(const char *value, HfListenerSpec *spec, HfText *error)
{
    return parse_account("owner", value, &spec->owner, error);
}

static int parse_group(const char *value, HfListenerSpec *spec, HfText *error)
{
    return parse_account("group", value, &spec->group, error);
}

static int parse_name(const char *value, HfListenerSpec *spec, HfText *error)
{
    if (!hf_option_is_name(value, false))
        return hf_option_refuse(error,
                                "--listen: %s is no name of a socket; write 1 to %d of A-Z, a-z, "
                                "0-9, '_', '-' and '.'",
                                HF_QUOTE(value), HF_NAME_MAX);
    return hf_string_set(&spec->name, value);
}

static const struct {
    const char *name;
    bool path_only;
    int (*parse)(const char *value, HfListenerSpec *spec, HfText *error);
} keys[] = {
    {"backlog", false, parse_backlog}, {"mode", true, parse_mode},  {"owner", true, parse_owner},
    {"group", true, parse_group},      {"name", false, parse_name},
};
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static int refuse_key(const char *setting, HfText *error)
{
    const char *words[N_KEYS];

    for (size_t i = 0; i < N_KEYS; i++)
        words[i] = keys[i].name;
    hf_text_addf(error, "--listen: %s is not known; behind the address write ", HF_QUOTE(setting));
    hf_option_join(error, words, N_KEYS, ", or ");
    hf_text_add(error, ", as in backlog=511");
    return -EINVAL;
}

/* setting: KEY=VALUE. */
static int parse_setting(const char *setting, HfListenerSpec *spec, HfText *error)
{
    size_t length = strcspn(setting, "=");

    for (size_t i = 0; i < N_KEYS; i++) {
        if (strlen(keys[i].name) != length || memcmp(keys[i].name, setting, length) != 0)
            continue;
        if (setting[length] == '\0')
            return hf_option_refuse(error, "--listen: %s needs a value; write %s=VALUE",
                                    keys[i].name, keys[i].name);
        if (keys[i].path_only && !hf_address_is_path(&spec->address)) {
            char address[HF_ADDRESS_TEXT_MAX];
            hf_address_format(&spec->address, address);
            return hf_option_refuse(error, "--listen: %s is for unix paths, %s is none; drop it",
                                    keys[i].name, HF_QUOTE(address));
        }
        return keys[i].parse(setting + length + 1, spec, error);
    }
    return refuse_key(setting, error);
}

static int parse_address(const char *text, HfAddress *ret, HfText *error)
{
    int r = hf_address_parse(text, ret);

    if (r == -ENAMETOOLONG)
        return hf_option_refuse(error,
                                "--listen: %s is too long; a unix path has at most %zu bytes, a "
                                "host name %d",
                                HF_QUOTE(text), sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
                                HF_ADDRESS_HOST_MAX);
    if (r < 0)
        return hf_option_refuse(error,
                                "--listen: %s is no address; write 127.0.0.1:9000, [::1]:9000, "
                                "9000, /run/x.sock or @name",
                                HF_QUOTE(text));
    return 0;
}

/* parts: ADDR,KEY=VALUE,..., written over. */
static int parse_parts(char *parts, HfListenerSpec *spec, HfText *error)
{
    char *rest = parts;
    int r = parse_address(strsep(&rest, ","), &spec->address, error);

    while (r == 0 && rest)
        r = parse_setting(strsep(&rest, ","), spec, error);
    return r;
}

int hf_options_parse_listen(const char *text, HfListenerSpec *ret, HfText *error)
{
    HF_CLEANUP_FREE char *parts = NULL;
    HfListenerSpec spec;
    int r = hf_string_set(&parts, text);

    if (r < 0)
        return r;
    hf_listener_spec_init(&spec);
    r = parse_parts(parts, &spec, error);
    if (r < 0) {
        hf_listener_spec_clear(&spec);
        return r;
    }
    *ret = spec;
    return 0;
}
