/* SPDX-License-Identifier: MIT */
/* The dump of `php-fpm -tt`, and what is made of its addresses. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "fuzz.h"
#include "service/php_fpm/php_fpm.h"

static void check_set(const char *value)
{
    CHECK(*value != '\0');
    CHECK(strcmp(value, "undefined") != 0);
    CHECK(is_clean(value));
}

static void check_text(const char *value)
{
    if (value)
        check_set(value);
}

static void check_address(const char *listen, const char *prefix)
{
    HfAddress address;
    char key[HF_ADDRESS_TEXT_MAX];
    int r = hf_phpfpm_address(listen, prefix, &address);

    CHECK(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
    for (unsigned i = 0; r == 0; i++) {
        CHECK(i < 3);
        r = hf_phpfpm_key(&address, i, key);
        CHECK(r == 0 || r == -EINVAL || r == -ENOENT);
        CHECK(r < 0 || (*key != '\0' && is_clean(key) && !strpbrk(key, ",=")));
    }
}

static void check_pool(const HfPhpfpmPool *pool, const char *prefix)
{
    CHECK(pool->name && is_clean(pool->name));
    CHECK(pool->listen && pool->manager);
    check_set(pool->listen);
    check_set(pool->manager);
    check_text(pool->status_listen);
    CHECK(!pool->status_listen || pool->has_status_listen);
    check_text(pool->status_path);
    check_text(pool->ping_path);
    check_text(pool->owner);
    check_text(pool->group);
    check_text(pool->acl_users);
    check_text(pool->acl_groups);
    check_text(pool->memory_limit);
    CHECK(pool->backlog > 0 || pool->backlog == HF_BACKLOG_MAXIMUM);
    CHECK(pool->mode <= 07777);
    CHECK(pool->max_children > 0 && pool->max_children <= INT_MAX);
    check_address(pool->listen, prefix);
    if (pool->status_listen)
        check_address(pool->status_listen, prefix);
}

static bool same_pool(const HfPhpfpmPool *a, const HfPhpfpmPool *b)
{
    return same_string(a->name, b->name) && same_string(a->listen, b->listen) &&
           same_string(a->status_listen, b->status_listen) &&
           a->has_status_listen == b->has_status_listen &&
           same_string(a->status_path, b->status_path) && same_string(a->ping_path, b->ping_path) &&
           a->backlog == b->backlog && a->mode == b->mode && same_string(a->owner, b->owner) &&
           same_string(a->group, b->group) && same_string(a->acl_users, b->acl_users) &&
           same_string(a->acl_groups, b->acl_groups) && same_string(a->manager, b->manager) &&
           a->max_children == b->max_children && same_string(a->memory_limit, b->memory_limit);
}

static bool same(const HfPhpfpmConfig *a, const HfPhpfpmConfig *b)
{
    bool equal = a->n_pools == b->n_pools && same_string(a->pid_file, b->pid_file) &&
                 same_string(a->prefix, b->prefix) &&
                 a->has_systemd_interval == b->has_systemd_interval &&
                 a->process_control_timeout == b->process_control_timeout;

    for (size_t i = 0; equal && i < a->n_pools; i++)
        equal = same_pool(&a->pools[i], &b->pools[i]);
    return equal;
}

/* Lines of others before the dump change nothing. */
static void check_noise(const uint8_t *data, size_t size, int want, const HfPhpfpmConfig *config)
{
    static const char noise[] = "PHP Warning:  a module is missing\n"
                                "[24-Nov-2026 00:08:26] WARNING: \tlisten = 1\n"
                                "[24-Nov-2026 00:08:26] NOTICE: \tlisten = 1\n\n"
                                "[24-Nov-2026 00:08:26] NOTICE: [early]\n";
    HfPhpfpmConfig again = {0};
    char *text = must(malloc(sizeof(noise) - 1 + size));

    memcpy(text, noise, sizeof(noise) - 1);
    if (size > 0)
        memcpy(text + sizeof(noise) - 1, data, size);
    CHECK(hf_phpfpm_config_parse(text, sizeof(noise) - 1 + size, &again) == want);
    CHECK(want < 0 || same(&again, config));
    hf_phpfpm_config_clear(&again);
    free(text);
}

/* Whatever it says, each line of it is whole. */
static void check_restated(const char *dump, size_t size)
{
    HF_CLEANUP_TEXT HfText text = {0};
    int r = hf_phpfpm_restate(dump, size, &text);

    CHECK(r == 0 || r == -EINVAL || r == -E2BIG);
    CHECK(r == 0 || text.length == 0);
    CHECK(text.length == 0 || text.data[text.length - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    HfPhpfpmConfig untouched;
    HfPhpfpmConfig config;

    memset(&untouched, 0xa5, sizeof(untouched));
    memcpy(&config, &untouched, sizeof(config));
    int r = hf_phpfpm_config_parse((const char *)data, size, &config);
    CHECK(r == 0 || r == -ENODATA || r == -E2BIG || r == -EBADMSG);
    check_noise(data, size, r, &config);
    check_restated((const char *)data, size);
    if (r < 0) {
        CHECK(memcmp(&config, &untouched, sizeof(config)) == 0);
        return 0;
    }
    CHECK(config.n_pools > 0 && config.n_pools <= HF_LISTENERS_MAX);
    check_text(config.pid_file);
    check_text(config.prefix);
    CHECK(!config.prefix || *config.prefix == '/');
    CHECK(config.process_control_timeout <= HF_USEC_MAX);
    for (size_t i = 0; i < config.n_pools; i++)
        check_pool(&config.pools[i], config.prefix);
    hf_phpfpm_config_clear(&config);
    CHECK(!config.pools && config.n_pools == 0);
    return 0;
}
