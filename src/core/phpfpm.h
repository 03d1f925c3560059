/* php-fpm's command line, its -tt dump, and the overlay that goes over the user's configuration. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "core/settings.h"

/* ---- command line (php-fpm(8), php_getopt: short options cluster, values attached or not) ---- */

typedef struct HfPhpfpmArguments {
    char **arguments;    /* owned: argv without -D, -F, -y, in order, argv[0] first */
    char *configuration; /* owned: FILE of -y/--fpm-config (the last), NULL when absent */
    char *prefix;        /* owned: DIR of -p/--prefix, NULL when absent */
    char *pid_file;      /* owned: FILE of -g/--pid, NULL when absent; also removed from arguments */
    bool daemonize;      /* -D was given (and stripped) */
} HfPhpfpmArguments;

void hf_phpfpm_arguments_clear(HfPhpfpmArguments *arguments);

/* Returns 0, -ENOMEM, or -EINVAL with one line in error: an option that makes php-fpm print and leave
 * (-t, -i, -m, -v, -h), an unknown one, or a missing value. */
int hf_phpfpm_arguments_parse(char *const *argv, HfPhpfpmArguments *ret, HfText *error);

/* ---- the dump of `php-fpm -tt` ---- */

typedef struct HfPhpfpmPool {
    char *name;
    char *listen;        /* as configured, after $pool: "127.0.0.1:9000", "9000", "/run/php.sock" */
    char *status_listen; /* pm.status_listen, NULL unset */
    int backlog;         /* listen.backlog; HF_BACKLOG_MAXIMUM for -1 and unset */
    uint32_t mode;       /* listen.mode; 0660 when unset (php-fpm's default) */
    char *owner, *group;           /* listen.*, NULL unset */
    char *acl_users, *acl_groups;  /* listen.*, NULL unset */
    char *manager;       /* pm: static, dynamic, ondemand */
    uint64_t max_children;
    char *memory_limit;  /* php_admin_value or php_value[memory_limit] of the pool, NULL unset */
} HfPhpfpmPool;

typedef struct HfPhpfpmConfig {
    HfPhpfpmPool *pools;
    size_t n_pools;
    char *pid_file;              /* NULL unset */
    char *error_log;             /* NULL unset */
    bool has_systemd_interval;   /* the build knows systemd: READY=1 will come (FACTS: -tt prints it) */
    uint64_t process_control_timeout; /* usec, 0 when unset */
} HfPhpfpmConfig;

void hf_phpfpm_config_clear(HfPhpfpmConfig *config);

#define HF_PHPFPM_DUMP_MAX (16U * 1024 * 1024) /* bytes of a dump that are read */

/* dump: stderr of `php-fpm -tt`, need not be NUL-terminated. Lines that are no dump lines are skipped.
 * Returns 0, -ENOMEM, -ENODATA without any pool, -E2BIG above HF_LISTENERS_MAX pools, -EBADMSG for a pool
 * without listen or a malformed number in a key that is used here. */
int hf_phpfpm_config_parse(const char *dump, size_t length, HfPhpfpmConfig *ret);

/* php-fpm's own complaint, for people: the lines of output with their "[date] LEVEL: " prefix dropped, ERROR,
 * ALERT and WARNING lines only (all lines when there is none), at most max_lines. */
void hf_phpfpm_complaint(const char *output, size_t length, size_t max_lines, HfText *text);

/* ---- the overlay ---- */

/* The overlay that only asks: includes the user's file, forces what the dump needs. include is an
 * expression as hf_phpfpm_include makes it. */
void hf_phpfpm_question(const char *include, HfText *text);

/* The value of the include= line: FILE of -y made absolute with directory, quoted so that the ini parser takes
 * it as it is; PREFIX/etc/php-fpm.conf with -p; without both the compiled-in default, as the constants that PHP's
 * ini parser resolves: attempt 0 is PHP_CONFIG_FILE_PATH (Debian), attempt 1 PHP_SYSCONFDIR (upstream).
 * Returns 0, -ENOMEM, -ENOENT when there is no such attempt, or -EINVAL for a path that can not be quoted. */
int hf_phpfpm_include(const HfPhpfpmArguments *arguments, const char *directory, unsigned attempt,
                      char **ret);

/* One override of a listen address. Borrowed strings. */
typedef struct HfPhpfpmOverride {
    const char *pool;
    const char *listen;        /* NULL: leave */
    const char *status_listen; /* NULL: leave */
} HfPhpfpmOverride;

typedef struct HfPhpfpmOverlay {
    const char *include;
    const char *pid_file;
    uint64_t drain_timeout; /* usec; process_control_timeout, whole seconds, rounded up, at least 1 */
    bool systemd_interval;  /* write systemd_interval = 0 */
    const HfPhpfpmOverride *overrides;
    size_t n_overrides;
} HfPhpfpmOverlay;

/* Returns 0 or -EINVAL for a value that an ini file can not carry. */
int hf_phpfpm_overlay(const HfPhpfpmOverlay *overlay, HfText *text);

/* The FPM_SOCKETS key under which php-fpm looks the address up: "127.0.0.1:9000", "::1:9000", a path; PORT has two
 * (":::9000" and "0.0.0.0:9000"). index counts from 0. Returns 0, -ENOENT past the last, -EINVAL for HOST and
 * for kinds that php-fpm does not know. ret holds HF_ADDRESS_TEXT_MAX bytes. */
int hf_phpfpm_key(const HfAddress *address, unsigned index, char *ret);

/* The address behind a listen value, which allows what php-fpm allows beyond hf_address_parse: a relative unix path
 * is taken below prefix (NULL: refused), host names. Returns as hf_address_parse. */
int hf_phpfpm_address(const char *listen, const char *prefix, HfAddress *ret);
