/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "service/php_fpm/php_fpm.h"

/* php-fpm keeps a timer in milliseconds, in an int. */
#define STANDBY_CLIENT "127.0.0.2" /* source address of holdfast's requests to the standby side */
#define TIMEOUT_MAX    UINT64_C(2147483)

#define FILE_NAME "/php-fpm.conf"

static const char *const default_includes[] = {
    "PHP_CONFIG_FILE_PATH \"" FILE_NAME "\"",
    "PHP_SYSCONFDIR \"" FILE_NAME "\"",
};

/* Double-quoted for the ini parser, which removes the backslash from \\ and \" but not from \$;
 * glob(3) interprets the rest. */
static int quote_include(const char *path, char **ret)
{
    HF_CLEANUP_TEXT HfText text = {0};

    if (hf_text_has_control(path))
        return -EINVAL;
    hf_text_add(&text, "\"");
    for (; *path; path++) {
        if (*path == '\\')
            hf_text_add(&text, "\\\\\\");
        else if (strchr("*?[]", *path))
            hf_text_add(&text, "\\\\");
        else if (*path == '"' || *path == '$')
            hf_text_add(&text, "\\");
        hf_text_add_bytes(&text, path, 1);
    }
    hf_text_add(&text, "\"");
    return hf_text_take(&text, ret);
}

int hf_phpfpm_include(const HfPhpfpmArguments *arguments, const char *directory, unsigned attempt,
                      char **ret)
{
    const char *path = arguments->configuration ? arguments->configuration : arguments->prefix;
    HF_CLEANUP_TEXT HfText absolute = {0};

    if (attempt >= (path ? 1 : sizeof(default_includes) / sizeof(*default_includes)))
        return -ENOENT;
    if (!path) {
        *ret = NULL;
        return hf_string_set(ret, default_includes[attempt]);
    }
    if (*path != '/')
        hf_text_addf(&absolute, "%s/", directory ? directory : "/proc/self/cwd");
    hf_text_add(&absolute, path);
    if (!arguments->configuration)
        hf_text_add(&absolute, "/etc" FILE_NAME);
    return absolute.failed ? -ENOMEM : quote_include(hf_text_peek(&absolute), ret);
}

void hf_phpfpm_question(const char *include, HfText *text)
{
    bool named = *include == '"';

    hf_text_addf(text,
                 "include = %s\n"
                 "[global]\n"
                 "log_level = notice\n"
                 "error_log = /dev/null\n"
                 "syslog.ident = PHP_PREFIX%s%s\n"
                 "daemonize = no\n",
                 include, named ? "" : " \":\" ", named ? "" : include);
}

static bool is_plain(const char *value)
{
    for (; *value; value++) {
        bool letter = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');
        bool digit = *value >= '0' && *value <= '9';
        if (!letter && !digit && !strchr("/._-", *value))
            return false;
    }
    return true;
}

int hf_phpfpm_add_literal(HfText *text, const char *before, const char *value, const char *after)
{
    const char *quote = is_plain(value) ? "" : "'";

    if (*value == '\0' || hf_text_has_control(value))
        return -EINVAL;
    if (strchr(value, '\'')) {
        if (strpbrk(value, "\"$\\"))
            return -EINVAL;
        quote = "\"";
    }
    hf_text_addf(text, "%s%s%s%s%s\n", before, quote, value, quote, after);
    return 0;
}

/* Adds an absolute path as a value. php-fpm would replace $pool even between quotes. */
static int add_path(HfText *text, const char *before, const char *path)
{
    if (*path != '/' || strstr(path, "$pool"))
        return -EINVAL;
    return hf_phpfpm_add_literal(text, before, path, "");
}

/* A path, or an address without a host name. */
static int add_address(HfText *text, const char *before, const char *value)
{
    HfAddress address;

    if (*value == '/')
        return add_path(text, before, value);
    if (hf_address_parse(value, &address) < 0 ||
        (address.kind != HF_ADDRESS_INET && address.kind != HF_ADDRESS_INET6 &&
         address.kind != HF_ADDRESS_PORT))
        return -EINVAL;
    return hf_phpfpm_add_literal(text, before, value, "");
}

static int add_override(HfText *text, const HfPhpfpmOverride *override)
{
    if (!override->listen && !override->status_listen && !override->status_path &&
        !override->ping_path && !override->allowed_clients)
        return 0;
    int r = hf_phpfpm_add_literal(text, "[", override->pool, "]");
    if (r >= 0 && override->listen)
        r = add_address(text, "listen = ", override->listen);
    if (r >= 0 && override->status_listen)
        r = add_address(text, "pm.status_listen = ", override->status_listen);
    if (r >= 0 && override->status_path)
        r = add_path(text, "pm.status_path = ", override->status_path);
    if (r >= 0 && override->ping_path)
        r = add_path(text, "ping.path = ", override->ping_path);
    if (r >= 0 && override->mode)
        hf_text_addf(text, "listen.owner = %u\nlisten.group = %u\nlisten.mode = %s\n",
                     (unsigned) override->owner, (unsigned) override->group, override->mode);
    if (r >= 0 && override->allowed_clients) {
        HF_CLEANUP_TEXT HfText clients = {0};
        hf_text_addf(&clients, "%s," STANDBY_CLIENT, override->allowed_clients);
        r = clients.failed ? -ENOMEM
                           : hf_phpfpm_add_literal(
                                 text, "listen.allowed_clients = ", hf_text_peek(&clients), "");
    }
    return r;
}

static uint64_t timeout_seconds(uint64_t usec)
{
    uint64_t seconds = usec / HF_USEC_PER_SEC + (usec % HF_USEC_PER_SEC > 0 ? 1 : 0);

    if (seconds == 0)
        return 1;
    return seconds < TIMEOUT_MAX ? seconds : TIMEOUT_MAX;
}

int hf_phpfpm_overlay(const HfPhpfpmOverlay *overlay, HfText *text)
{
    HF_CLEANUP_TEXT HfText result = {0};
    int r = 0;

    if (overlay->restated)
        hf_text_add(&result, overlay->restated);
    else
        hf_text_addf(&result, "include = %s\n", overlay->include);
    for (size_t i = 0; r >= 0 && i < overlay->n_overrides; i++)
        r = add_override(&result, &overlay->overrides[i]);
    if (r < 0)
        return r;
    if (overlay->sections)
        hf_text_add(&result, overlay->sections);
    hf_text_addf(&result, "[global]\ndaemonize = no\nprocess_control_timeout = %llus\n",
                 (unsigned long long)timeout_seconds(overlay->drain_timeout));
    r = overlay->pid_file ? add_path(&result, "pid = ", overlay->pid_file) : 0;
    if (r < 0)
        return r;
    if (overlay->systemd_interval)
        hf_text_add(&result, "systemd_interval = 0\n");
    if (result.failed)
        return -ENOMEM;
    hf_text_add_bytes(text, result.data, result.length);
    return 0;
}

/* ---- addresses ---- */

static const uint8_t any_ip[16];

/* ip:port, without brackets and scope. */
static void put_inet_key(HfAddressKind kind, const uint8_t ip[16], uint16_t port, char *ret)
{
    HfAddress address = {.kind = kind, .port = port};
    char text[HF_ADDRESS_TEXT_MAX];

    memcpy(address.ip, ip, sizeof(address.ip));
    hf_address_format(&address, text);
    for (const char *c = text; *c; c++)
        if (*c != '[' && *c != ']')
            *ret++ = *c;
    *ret = '\0';
}

int hf_phpfpm_key(const HfAddress *address, unsigned index, char *ret)
{
    switch (address->kind) {
    case HF_ADDRESS_PORT:
        if (index > 1)
            return -ENOENT;
        put_inet_key(index == 0 ? HF_ADDRESS_INET6 : HF_ADDRESS_INET, any_ip, address->port, ret);
        return 0;
    case HF_ADDRESS_INET:
    case HF_ADDRESS_INET6:
        if (index > 0)
            return -ENOENT;
        put_inet_key(address->kind, address->ip, address->port, ret);
        return 0;
    case HF_ADDRESS_UNIX:
        /* php-fpm takes a path with a colon for a host, and splits FPM_SOCKETS at the others. */
        if (strpbrk(address->name, ":,="))
            return -EINVAL;
        if (index > 0)
            return -ENOENT;
        memcpy(ret, address->name, strlen(address->name) + 1);
        return 0;
    case HF_ADDRESS_NONE:
    case HF_ADDRESS_HOST:
    case HF_ADDRESS_ABSTRACT:
    default:
        return -EINVAL;
    }
}

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* host:port, split at the last colon as php-fpm does: an IPv6 address needs no brackets. */
static int parse_inet(const char *listen, HfAddress *ret)
{
    const char *port = strrchr(listen, ':') + 1;
    size_t length = (size_t)(port - 1 - listen);
    bool bare = *listen != '[' && memchr(listen, ':', length) != NULL;
    char text[HF_ADDRESS_TEXT_MAX];

    if (strchr("/@", *listen) || !is_number(port))
        return -EINVAL;
    if (strlen(listen) + sizeof("[]") > sizeof(text))
        return -ENAMETOOLONG;
    char *end = stpcpy(text, bare ? "[" : "");
    memcpy(end, listen, length);
    stpcpy(stpcpy(stpcpy(end + length, bare ? "]" : ""), ":"), port);
    return hf_address_parse(text, ret);
}

/* php-fpm takes @name for a file name. */
static int parse_path(const char *listen, const char *prefix, HfAddress *ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    if (*listen != '/') {
        if (*listen == '\0' || !prefix || *prefix != '/' || strchr(prefix, ':'))
            return -EINVAL;
        hf_text_addf(&path, "%s/", prefix);
    }
    hf_text_add(&path, listen);
    return path.failed ? -ENOMEM : hf_address_parse(hf_text_peek(&path), ret);
}

int hf_phpfpm_address(const char *listen, const char *prefix, HfAddress *ret)
{
    if (strchr(listen, ':'))
        return parse_inet(listen, ret);
    if (is_number(listen))
        return hf_address_parse(listen, ret);
    return parse_path(listen, prefix, ret);
}
