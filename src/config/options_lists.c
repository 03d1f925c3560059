/* SPDX-License-Identifier: MIT */
/* Options whose values have parts: sockets, commands, environments, headers, probes. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "config/option.h"
#include "config/settings.h"
#include "format/fastcgi.h"
#include "format/http.h"
#include "format/words.h"

#define ACCOUNT_MAX 255 /* bytes of a user's or group's name */

static int parse_backlog(const char *value, HfListenerSpec *spec, HfText *error)
{
    uint64_t backlog;

    if (strcmp(value, "max") == 0) {
        spec->backlog = HF_BACKLOG_MAXIMUM;
        return 0;
    }
    if (hf_parse_uint(value, INT_MAX, &backlog) < 0 || backlog == 0)
        return hf_option_refuse(
            error, "--listen: %s is not a backlog; write a number from 1 to %d, or max",
            HF_QUOTE(value), INT_MAX);
    spec->backlog = (int)backlog;
    return 0;
}

static int parse_mode(const char *value, HfListenerSpec *spec, HfText *error)
{
    unsigned mode;

    if (hf_parse_mode(value, &mode) < 0 || mode > 0777)
        return hf_option_refuse(error,
                                "--listen: %s is not a mode; write it octal, up to 0777, as 0660",
                                HF_QUOTE(value));
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
        return hf_option_refuse(error, "--listen: %s is not a valid %s; write a name or a number",
                                HF_QUOTE(value), what);
    return hf_string_set(field, value);
}

static int parse_owner(const char *value, HfListenerSpec *spec, HfText *error)
{
    return parse_account("owner", value, &spec->owner, error);
}

static int parse_listener_group(const char *value, HfListenerSpec *spec, HfText *error)
{
    return parse_account("group", value, &spec->group, error);
}

static int parse_listener_name(const char *value, HfListenerSpec *spec, HfText *error)
{
    if (!hf_option_is_name(value, false))
        return hf_option_refuse(
            error,
            "--listen: %s is not the name of a socket; write 1 to %d of A-Z, a-z, "
            "0-9, '_', '-' and '.'",
            HF_QUOTE(value), HF_NAME_MAX);
    return hf_string_set(&spec->name, value);
}

static int parse_ipv6_only(const char *value, HfListenerSpec *spec, HfText *error)
{
    spec->ipv6_only = strcmp(value, "yes") == 0;
    if (!spec->ipv6_only && strcmp(value, "no") != 0)
        return hf_option_refuse(error, "--listen: ipv6-only=%s is neither yes nor no",
                                HF_QUOTE(value));
    if (spec->address.kind != HF_ADDRESS_INET6)
        return hf_option_refuse(error, "--listen: ipv6-only is for IPv6 addresses; drop it, or "
                                       "write [::]:PORT");
    return 0;
}

static int parse_interface(const char *value, HfListenerSpec *spec, HfText *error)
{
    size_t length = strlen(value);

    if (length == 0 || length >= sizeof(spec->interface) || strpbrk(value, " /:"))
        return hf_option_refuse(error, "--listen: %s is not the name of a network interface",
                                HF_QUOTE(value));
    memcpy(spec->interface, value, length + 1);
    return 0;
}

typedef enum KeyScope {
    KEY_ANY,
    KEY_QUEUE, /* of sockets that accept connections */
    KEY_PATH,  /* of unix paths */
    KEY_IP,
    KEY_TCP,
} KeyScope;

/* Each key has a parse function, or is a socket option: then its value is yes or no if the maximum
 * is 1, else a number. */
static const struct {
    const char *name;
    KeyScope scope;
    int (*parse)(const char *value, HfListenerSpec *spec, HfText *error);
    int level;
    int option;
    int maximum;
} keys[] = {
    {"backlog", KEY_QUEUE, parse_backlog, 0, 0, 0},
    {"mode", KEY_PATH, parse_mode, 0, 0, 0},
    {"owner", KEY_PATH, parse_owner, 0, 0, 0},
    {"group", KEY_PATH, parse_listener_group, 0, 0, 0},
    {"name", KEY_ANY, parse_listener_name, 0, 0, 0},
    {"ipv6-only", KEY_ANY, parse_ipv6_only, 0, 0, 0},
    {"interface", KEY_IP, parse_interface, 0, 0, 0},
    {"reuse-port", KEY_IP, NULL, SOL_SOCKET, SO_REUSEPORT, 1},
    {"free-bind", KEY_IP, NULL, IPPROTO_IP, IP_FREEBIND, 1},
    {"no-delay", KEY_TCP, NULL, IPPROTO_TCP, TCP_NODELAY, 1},
    {"keep-alive", KEY_TCP, NULL, SOL_SOCKET, SO_KEEPALIVE, 1},
    {"defer-accept", KEY_TCP, NULL, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3600},
    {"fast-open", KEY_TCP, NULL, IPPROTO_TCP, TCP_FASTOPEN, 65535},
    {"mark", KEY_IP, NULL, SOL_SOCKET, SO_MARK, INT_MAX},
    {"receive-buffer", KEY_IP, NULL, SOL_SOCKET, SO_RCVBUF,
     INT_MAX / 2}, /* the kernel doubles it */
};
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static int parse_socket_option(size_t key, const char *value, HfListenerSpec *spec, HfText *error)
{
    bool yes = strcmp(value, "yes") == 0;
    bool flag = keys[key].maximum == 1;
    uint64_t number = yes;
    size_t i = 0;

    if (flag && !yes && strcmp(value, "no") != 0)
        return hf_option_refuse(error, "--listen: %s=%s is neither yes nor no", keys[key].name,
                                HF_QUOTE(value));
    if (!flag && hf_parse_uint(value, (uint64_t)keys[key].maximum, &number) < 0)
        return hf_option_refuse(error, "--listen: %s=%s is not a number from 0 to %d",
                                keys[key].name, HF_QUOTE(value), keys[key].maximum);
    while (i < spec->n_options &&
           (spec->options[i][0] != keys[key].level || spec->options[i][1] != keys[key].option))
        i++;
    assert(i < HF_SOCKET_OPTIONS_MAX);
    const int option[] = {keys[key].level, keys[key].option, (int)number};
    memcpy(spec->options[i], option, sizeof(option));
    spec->n_options += i == spec->n_options;
    return 0;
}

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

static bool has_scope(KeyScope scope, const HfAddress *address)
{
    switch (scope) {
    case KEY_QUEUE:
        return address->type != SOCK_DGRAM;
    case KEY_PATH:
        return hf_address_is_path(address);
    case KEY_IP:
        return !hf_address_is_unix(address);
    case KEY_TCP:
        return hf_address_is_tcp(address);
    case KEY_ANY:
    default:
        return true;
    }
}

/* setting: KEY=VALUE. */
static int parse_key(const char *setting, HfListenerSpec *spec, HfText *error)
{
    size_t length = strcspn(setting, "=");

    for (size_t i = 0; i < N_KEYS; i++) {
        if (strlen(keys[i].name) != length || memcmp(keys[i].name, setting, length) != 0)
            continue;
        if (setting[length] == '\0')
            return hf_option_refuse(error, "--listen: %s needs a value; write %s=VALUE",
                                    keys[i].name, keys[i].name);
        const char *value = setting + length + 1;
        if (!has_scope(keys[i].scope, &spec->address)) {
            static const char *const whose[] = {[KEY_QUEUE] = "sockets that take connections",
                                                [KEY_PATH] = "unix paths",
                                                [KEY_IP] = "TCP and UDP addresses",
                                                [KEY_TCP] = "TCP addresses"};
            char address[HF_ADDRESS_TEXT_MAX];
            hf_address_format(&spec->address, address);
            return hf_option_refuse(error, "--listen: %s is for %s, %s is none; drop it",
                                    keys[i].name, whose[keys[i].scope], HF_QUOTE(address));
        }
        return keys[i].parse ? keys[i].parse(value, spec, error)
                             : parse_socket_option(i, value, spec, error);
    }
    return refuse_key(setting, error);
}

static int parse_address(const char *text, HfAddress *ret, HfText *error)
{
    int r = hf_address_parse_any(text, ret);

    if (r == -ENAMETOOLONG)
        return hf_option_refuse(error,
                                "--listen: %s is too long; a unix path has at most %zu bytes, a "
                                "host name %d",
                                HF_QUOTE(text), sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
                                HF_ADDRESS_HOST_MAX);
    if (r < 0)
        return hf_option_refuse(error,
                                "--listen: %s is not an address; write 127.0.0.1:9000, [::1]:9000, "
                                "9000, /run/x.sock or @name, udp:127.0.0.1:53, dgram:/run/x.sock "
                                "or seqpacket:/run/x.sock",
                                HF_QUOTE(text));
    return 0;
}

/* parts: ADDR,KEY=VALUE,..., overwritten. */
static int parse_listener(char *parts, HfListenerSpec *spec, HfText *error)
{
    char *rest = parts;
    int r = parse_address(strsep(&rest, ","), &spec->address, error);

    while (r == 0 && rest)
        r = parse_key(strsep(&rest, ","), spec, error);
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
    r = parse_listener(parts, &spec, error);
    if (r < 0) {
        hf_listener_spec_clear(&spec);
        return r;
    }
    *ret = spec;
    return 0;
}

static int parse_listen(const HfOption *option, const char *value, void *field, HfText *error)
{
    HfSettings *settings = field;
    size_t n = settings->n_listeners;
    /* The capacity that hf_array_reserve has reached for n. */
    size_t capacity = n > 0 ? 4 : 0;

    if (strcmp(value, "none") == 0) {
        settings->listens_nowhere = true;
        return 0;
    }
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

static bool same_listener(const HfListenerSpec *a, const HfListenerSpec *b)
{
    return hf_address_equal(&a->address, &b->address) &&
           hf_option_equal_string(&a->name, &b->name) && a->backlog == b->backlog &&
           a->ipv6_only == b->ipv6_only && strcmp(a->interface, b->interface) == 0 &&
           a->n_options == b->n_options &&
           memcmp(a->options, b->options, sizeof(a->options)) == 0 && a->mode == b->mode &&
           hf_option_equal_string(&a->owner, &b->owner) &&
           hf_option_equal_string(&a->group, &b->group) &&
           hf_option_equal_string(&a->acl_users, &b->acl_users) &&
           hf_option_equal_string(&a->acl_groups, &b->acl_groups);
}

static bool equal_listen(const void *a, const void *b)
{
    const HfSettings *left = a;
    const HfSettings *right = b;

    if (left->n_listeners != right->n_listeners || left->listens_nowhere != right->listens_nowhere)
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

/* The length of the name before the first =, [A-Za-z_][A-Za-z0-9_]* (environ(7)); 0: it is
 * malformed. */
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
                                "--%s: %s is not NAME=VALUE; NAME is of A-Z, a-z, 0-9 and '_', and "
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
                                "--%s: %s is not a header that can be sent; write NAME: VALUE, and "
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
                                "--%s: %s is not a page that can be asked for; write it from the "
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

static int parse_warm(const HfOption *option, const char *value, void *field, HfText *error)
{
    char ***list = field;
    HfProbe probe = {0};
    const char *what;
    int r = 0;

    HfWarm kind = hf_warm_kind(value, &what);
    if (kind == HF_WARM_MAX_)
        return hf_option_refuse(error,
                                "--%s: %s is unknown; write auto, none, recent, fastcgi:/PATH, "
                                "http:/PATH, file:FILE or exec:COMMAND",
                                option->name, HF_QUOTE(value));
    if (kind == HF_WARM_FILE && *what != '/')
        return hf_option_refuse(error,
                                "--%s: %s is not an absolute path; write it from the root, as "
                                "file:/etc/holdfast/pages",
                                option->name, HF_QUOTE(what));
    if (kind == HF_WARM_FASTCGI || kind == HF_WARM_HTTP)
        r = set_probe(option, HF_PROBE_FASTCGI, what, &probe, error);
    if (kind == HF_WARM_EXEC)
        r = set_probe(option, HF_PROBE_EXEC, what, &probe, error);
    hf_freep(&probe.what);
    if (r >= 0 && hf_strv_length(*list) >= HF_WARMS_MAX)
        return hf_option_refuse(error, "--%s: more than %d of them; list pages in a file",
                                option->name, HF_WARMS_MAX);
    return r < 0 ? r : hf_strv_append(list, value);
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

const HfOptionType hf_option_type_listen = {
    .parse = parse_listen, .equal = equal_listen, .adds_up = true};
const HfOptionType hf_option_type_environment = {
    .parse = parse_environment, .equal = equal_strv, .adds_up = true};
const HfOptionType hf_option_type_header = {
    .parse = parse_header, .equal = equal_strv, .adds_up = true};
const HfOptionType hf_option_type_warm = {
    .parse = parse_warm, .equal = equal_strv, .adds_up = true};
const HfOptionType hf_option_type_command = {
    .parse = parse_command, .equal = equal_strv, .completion = HF_COMPLETION_COMMAND};
const HfOptionType hf_option_type_page = {.parse = parse_page, .equal = equal_probe};
const HfOptionType hf_option_type_probe = {.parse = parse_probe, .equal = equal_probe};
const HfOptionType hf_option_type_health = {
    .parse = parse_health, .show = show_health, .equal = equal_probe};
