#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "config/names.h"
#include "config/options_table.h"
#include "format/http.h"
#include "format/shell_words.h"

static int parse_listen(const HfOption *option, const char *value, void *field, HfText *error)
{
    HfSettings *settings = field;
    size_t n = settings->n_listeners;
    /* What hf_array_reserve has made of n so far. */
    size_t capacity = n > 0 ? 4 : 0;

    if (n >= HF_LISTENERS_MAX)
        return hf_option_refuse(
            error, "--%s: more than %d sockets; give some of them to a second instance",
            option->name, HF_LISTENERS_MAX);
    while (capacity < n)
        capacity *= 2;
    int r = hf_array_reserve(&settings->listeners, &capacity, n + 1, sizeof(*settings->listeners));
    if (r < 0)
        return r;
    r = hf_options_parse_listen(value, &settings->listeners[n], error);
    if (r < 0)
        return r;
    settings->n_listeners++;
    return 0;
}

static bool same_string(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_listener(const HfListenerSpec *a, const HfListenerSpec *b)
{
    return hf_address_equal(&a->address, &b->address) && same_string(a->name, b->name) &&
           a->backlog == b->backlog && a->mode == b->mode && same_string(a->owner, b->owner) &&
           same_string(a->group, b->group) && same_string(a->acl_users, b->acl_users) &&
           same_string(a->acl_groups, b->acl_groups);
}

static bool equal_listen(const void *a, const void *b)
{
    const HfSettings *left = a;
    const HfSettings *right = b;

    if (left->n_listeners != right->n_listeners)
        return false;
    for (size_t i = 0; i < left->n_listeners; i++)
        if (!same_listener(&left->listeners[i], &right->listeners[i]))
            return false;
    return true;
}

static bool equal_strv(const void *a, const void *b)
{
    char *const *left = *(char *const *const *)a;
    char *const *right = *(char *const *const *)b;

    if (!left || !right)
        return left == right;
    while (*left && *right && strcmp(*left, *right) == 0)
        left++, right++;
    return !*left && !*right;
}

/* [A-Za-z_][A-Za-z0-9_]* before the first =, environ(7). Returns its length, 0: none. */
static size_t name_length(const char *entry)
{
    static const char characters[] = "0123456789"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t length = strspn(entry, characters);
    bool starts = strspn(entry, characters + 10) > 0;

    return starts && entry[length] == '=' ? length : 0;
}

static int parse_environment(const HfOption *option, const char *value, void *field, HfText *error)
{
    char ***environment = field;
    size_t length = name_length(value);

    if (length == 0)
        return hf_option_refuse(error,
                                "--%s: %s is no NAME=VALUE; NAME is of A-Z, a-z, 0-9 and '_', and "
                                "does not start with a digit",
                                option->name, HF_QUOTE(value));
    if (hf_name_is_reserved(value))
        return hf_option_refuse(error, "--%s: %.*s is set by holdfast itself; leave it out",
                                option->name, (int)length, value);
    if (hf_strv_length(*environment) >= HF_ENVIRONMENT_MAX)
        return hf_option_refuse(error, "--%s: more than %d entries", option->name,
                                HF_ENVIRONMENT_MAX);
    return hf_strv_set(environment, value);
}

static int parse_header(const HfOption *option, const char *value, void *field, HfText *error)
{
    char ***headers = field;

    if (!hf_http_is_header(value))
        return hf_option_refuse(error,
                                "--%s: %s is no header that can be sent; write NAME: VALUE, and "
                                "none that says how long a request is or when the connection ends",
                                option->name, HF_QUOTE(value));
    if (hf_strv_length(*headers) >= HF_HEADERS_MAX)
        return hf_option_refuse(error, "--%s: more than %d headers", option->name, HF_HEADERS_MAX);
    return hf_strv_append(headers, value);
}

static int parse_command(const HfOption *option, const char *value, void *field, HfText *error)
{
    HF_CLEANUP_STRV char **words = NULL;
    char ***command = field;

    int r = hf_shell_words_split(value, &words);
    if (r == -EINVAL)
        return hf_option_refuse(error,
                                "--%s: a quote is not closed, or nothing follows the last "
                                "backslash: %s",
                                option->name, HF_QUOTE(value));
    if (r < 0)
        return r;
    if (!words || words[0][0] == '\0')
        return hf_option_refuse(error, "--%s: COMMAND is empty", option->name);
    hf_strv_free(*command);
    *command = HF_STEAL(words);
    return 0;
}

const HfOptionType hf_option_type_listen = {
    .parse = parse_listen, .equal = equal_listen, .adds_up = true};
const HfOptionType hf_option_type_environment = {
    .parse = parse_environment, .equal = equal_strv, .adds_up = true};
const HfOptionType hf_option_type_header = {
    .parse = parse_header, .equal = equal_strv, .adds_up = true};
const HfOptionType hf_option_type_command = {
    .parse = parse_command, .equal = equal_strv, .completion = HF_COMPLETION_COMMAND};
