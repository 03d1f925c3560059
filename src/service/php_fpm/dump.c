/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "base/parse.h"
#include "service/php_fpm/php_fpm.h"

#define DEFAULT_MODE 0660 /* fpm_unix.c */

static void clear_pool(HfPhpfpmPool *pool)
{
    hf_freep(&pool->name);
    hf_freep(&pool->listen);
    hf_freep(&pool->status_listen);
    hf_freep(&pool->status_path);
    hf_freep(&pool->ping_path);
    hf_freep(&pool->allowed_clients);
    hf_freep(&pool->owner);
    hf_freep(&pool->group);
    hf_freep(&pool->acl_users);
    hf_freep(&pool->acl_groups);
    hf_freep(&pool->run_user);
    hf_freep(&pool->run_group);
    hf_freep(&pool->chroot);
    hf_freep(&pool->manager);
    hf_freep(&pool->memory_limit);
}

void hf_phpfpm_config_clear(HfPhpfpmConfig *config)
{
    for (size_t i = 0; i < config->n_pools; i++)
        clear_pool(&config->pools[i]);
    hf_freep(&config->pools);
    hf_freep(&config->pid_file);
    hf_freep(&config->prefix);
    hf_freep(&config->file);
    *config = (HfPhpfpmConfig){0};
}

static bool is_set(const char *value)
{
    return *value != '\0' && strcmp(value, HF_PHPFPM_UNSET) != 0;
}

/* Parses one key's value into field. */
typedef int (*Take)(const char *value, void *field);

static int parse_text(const char *value, void *field)
{
    return hf_string_set(field, value);
}

/* "/usr:/etc/php/8.2/fpm/php-fpm.conf", see hf_phpfpm_question. */
static int parse_places(const char *value, void *field)
{
    HfPhpfpmConfig *config = field;
    const char *colon = strchr(value, ':');

    if (*value != '/')
        return 0;
    int r = colon ? hf_string_set(&config->file, colon + 1) : 0;
    if (r >= 0)
        r = hf_string_set(&config->prefix, value);
    if (r >= 0 && colon)
        config->prefix[colon - value] = '\0';
    return r;
}

static int parse_backlog(const char *value, void *field)
{
    bool negative = *value == '-';
    uint64_t number;

    if (hf_parse_uint(value + negative, INT_MAX, &number) < 0)
        return -EBADMSG;
    /* The kernel takes a negative backlog for a huge one, and with 0 still lets one connection
     * wait. */
    *(int *)field = negative ? HF_BACKLOG_MAXIMUM : number == 0 ? 1 : (int)number;
    return 0;
}

static int parse_mode(const char *value, void *field)
{
    unsigned mode;

    if (hf_parse_mode(value, &mode) < 0)
        return -EBADMSG;
    *(uint32_t *)field = mode;
    return 0;
}

static int parse_count(const char *value, void *field)
{
    return hf_parse_uint(value, INT_MAX, field) < 0 ? -EBADMSG : 0;
}

static int parse_time(const char *value, void *field)
{
    return hf_parse_duration(value, field) < 0 ? -EBADMSG : 0;
}

static int parse_presence(const char *value, void *field)
{
    (void)value;
    *(bool *)field = true;
    return 0;
}

static int parse_no(const char *value, void *field)
{
    bool yes = true;

    if (hf_parse_bool(value, &yes) < 0)
        return -EBADMSG;
    *(bool *)field = !yes;
    return 0;
}

static int parse_status_listen(const char *value, void *field)
{
    HfPhpfpmPool *pool = field;

    pool->has_status_listen = true;
    return is_set(value) ? hf_string_set(&pool->status_listen, value) : 0;
}

typedef struct Key {
    const char *name;
    Take take;
    size_t offset;
    bool always; /* called even when it is unset */
} Key;

static const Key global_keys[] = {
    {"pid", parse_text, offsetof(HfPhpfpmConfig, pid_file), false},
    {"syslog.ident", parse_places, 0, false},
    {"process_control_timeout", parse_time, offsetof(HfPhpfpmConfig, process_control_timeout),
     false},
    {"systemd_interval", parse_presence, offsetof(HfPhpfpmConfig, has_systemd_interval), false},
    {0},
};

/* php-fpm applies and prints php_value before php_admin_value: the last one wins. */
static const Key pool_keys[] = {
    {"listen", parse_text, offsetof(HfPhpfpmPool, listen), false},
    {"listen.backlog", parse_backlog, offsetof(HfPhpfpmPool, backlog), false},
    {"listen.acl_users", parse_text, offsetof(HfPhpfpmPool, acl_users), false},
    {"listen.acl_groups", parse_text, offsetof(HfPhpfpmPool, acl_groups), false},
    {"listen.owner", parse_text, offsetof(HfPhpfpmPool, owner), false},
    {"listen.group", parse_text, offsetof(HfPhpfpmPool, group), false},
    {"listen.mode", parse_mode, offsetof(HfPhpfpmPool, mode), false},
    {"user", parse_text, offsetof(HfPhpfpmPool, run_user), false},
    {"group", parse_text, offsetof(HfPhpfpmPool, run_group), false},
    {"chroot", parse_text, offsetof(HfPhpfpmPool, chroot), false},
    {"security.limit_extensions", parse_presence, offsetof(HfPhpfpmPool, has_limit_extensions),
     true},
    {"pm", parse_text, offsetof(HfPhpfpmPool, manager), false},
    {"pm.max_children", parse_count, offsetof(HfPhpfpmPool, max_children), false},
    {"pm.status_listen", parse_status_listen, 0, true},
    {"pm.status_path", parse_text, offsetof(HfPhpfpmPool, status_path), false},
    {"ping.path", parse_text, offsetof(HfPhpfpmPool, ping_path), false},
    {"listen.allowed_clients", parse_text, offsetof(HfPhpfpmPool, allowed_clients), false},
    {"clear_env", parse_no, offsetof(HfPhpfpmPool, shows_environment), false},
    {"php_value[memory_limit]", parse_text, offsetof(HfPhpfpmPool, memory_limit), false},
    {"php_admin_value[memory_limit]", parse_text, offsetof(HfPhpfpmPool, memory_limit), false},
    {0},
};

static const Key *find_key(const Key *keys, const char *name, size_t length)
{
    for (; keys->name; keys++)
        if (strlen(keys->name) == length && memcmp(keys->name, name, length) == 0)
            return keys;
    return NULL;
}

/* Copies bytes to a string. Returns 0, -ENOMEM, or -EBADMSG if they contain a control character. */
static int parse_string(const char *bytes, size_t length, char **ret)
{
    HfText text = {0};

    for (size_t i = 0; i < length; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f)
            return -EBADMSG;
    hf_text_add_bytes(&text, bytes, length);
    return hf_text_take(&text, ret);
}

/* line: "\tname = value". */
static int parse_entry(const HfPhpfpmLine *line, const Key *keys, void *object)
{
    const char *name = line->text + 1;
    size_t length = line->length - 1;
    const char *equals = memmem(name, length, " = ", 3);
    HF_CLEANUP_FREE char *value = NULL;

    const Key *key = equals ? find_key(keys, name, (size_t)(equals - name)) : NULL;
    if (!key)
        return 0;
    if (line->cut)
        return -EBADMSG;
    const char *start = equals + 3;
    int r = parse_string(start, length - (size_t)(start - name), &value);
    if (r < 0 || (!is_set(value) && !key->always))
        return r;
    return key->take(value, (char *)object + key->offset);
}

static bool is_complete(const HfPhpfpmConfig *config)
{
    const HfPhpfpmPool *last = config->n_pools > 0 ? &config->pools[config->n_pools - 1] : NULL;

    return !last || (last->listen && last->manager && last->max_children > 0);
}

static int add_pool(HfPhpfpmConfig *config, size_t *capacity, const char *name, size_t length)
{
    if (!is_complete(config))
        return -EBADMSG;
    if (config->n_pools >= HF_LISTENERS_MAX)
        return -E2BIG;
    int r = hf_array_reserve(&config->pools, capacity, config->n_pools + 1, sizeof(*config->pools));
    if (r < 0)
        return r;
    HfPhpfpmPool pool = {.backlog = HF_BACKLOG_MAXIMUM, .mode = DEFAULT_MODE};
    r = parse_string(name, length, &pool.name);
    if (r < 0)
        return r;
    config->pools[config->n_pools++] = pool;
    return 0;
}

static int parse_lines(const char *dump, size_t length, HfPhpfpmConfig *config)
{
    const Key *keys = NULL;
    void *object = NULL;
    size_t capacity = 0;
    HfPhpfpmLine line;
    int r = 0;

    while (r >= 0 && hf_phpfpm_line_next(&dump, &length, &line)) {
        if (line.level != HF_PHPFPM_NOTICE || line.length < 2)
            continue;
        const char *name = line.text + 1;
        size_t name_length = line.length - 2;
        if (*line.text == '[' && line.text[line.length - 1] == ']') {
            bool global = name_length == 6 && memcmp(name, "global", 6) == 0;
            if (!global && !keys)
                continue;
            if (!global)
                r = add_pool(config, &capacity, name, name_length);
            keys = global ? global_keys : pool_keys;
            object = global || r < 0 ? (void *)config : &config->pools[config->n_pools - 1];
        } else if (*line.text == '\t' && keys) {
            r = parse_entry(&line, keys, object);
        }
    }
    return r < 0 || is_complete(config) ? r : -EBADMSG;
}

int hf_phpfpm_config_parse(const char *dump, size_t length, HfPhpfpmConfig *ret)
{
    HfPhpfpmConfig config = {0};

    if (length > HF_PHPFPM_DUMP_MAX)
        return -E2BIG;
    int r = parse_lines(dump, length, &config);
    if (r >= 0 && config.n_pools == 0)
        r = -ENODATA;
    if (r < 0) {
        hf_phpfpm_config_clear(&config);
        return r;
    }
    *ret = config;
    return 0;
}

/* ---- a configuration that stands alone ---- */

/* Keys of [global] that the overlay sets, or that only the question had. */
static bool is_left_out(const char *key)
{
    static const char *const keys[] = {"pid",       "error_log",       "syslog.ident",
                                       "log_level", "syslog.facility", "daemonize"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* entry: "name = value", NUL-terminated. */
static int restate_entry(char *entry, bool global, HfText *text)
{
    char *value = strstr(entry, " = ");

    if (!value)
        return 0;
    *value = '\0';
    value += 3;
    bool unset = *value == '\0' || strcmp(value, HF_PHPFPM_UNSET) == 0;
    /* the default, which php-fpm refuses without a slowlog */
    bool untaken = strcmp(entry, "request_slowlog_trace_depth") == 0 && strcmp(value, "20") == 0;
    if (unset || untaken || (global && is_left_out(entry)))
        return 0;
    hf_text_addf(text, "%s = ", entry);
    return hf_phpfpm_add_literal(text, "", value, "");
}

static int restate_line(const HfPhpfpmLine *line, bool *global, bool *begun, HfText *text)
{
    HF_CLEANUP_FREE char *copy = NULL;
    HF_CLEANUP_TEXT HfText whole = {0};

    hf_text_add_bytes(&whole, line->text + 1, line->length - 1);
    int r = hf_text_take(&whole, &copy);
    if (r < 0)
        return r;
    if (*line->text == '\t' && *begun)
        return line->cut ? -EINVAL : restate_entry(copy, *global, text);
    if (*line->text != '[' || line->text[line->length - 1] != ']')
        return 0;
    copy[line->length - 2] = '\0';
    *global = strcmp(copy, "global") == 0;
    *begun |= *global;
    if (*begun)
        r = hf_phpfpm_add_literal(text, "[", copy, "]");
    if (*global)
        hf_text_add(text, "error_log = syslog\n");
    return r;
}

int hf_phpfpm_restate(const char *dump, size_t length, HfText *text)
{
    HF_CLEANUP_TEXT HfText result = {0};
    bool global = false;
    bool begun = false;
    HfPhpfpmLine line;
    int r = 0;

    while (r >= 0 && hf_phpfpm_line_next(&dump, &length, &line))
        if (line.level == HF_PHPFPM_NOTICE && line.length >= 2)
            r = restate_line(&line, &global, &begun, &result);
    if (r >= 0 && result.length > HF_PHPFPM_RESTATED_MAX)
        r = -E2BIG;
    if (r >= 0 && result.failed)
        r = -ENOMEM;
    if (r >= 0)
        hf_text_add_bytes(text, result.data, result.length);
    return r;
}
