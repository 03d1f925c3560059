/* SPDX-License-Identifier: MIT */
/* php-fpm's command line, its -tt dump, and the overlay on top of the user's configuration. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/text.h"
#include "config/settings.h"

struct HfPlan;
struct HfPlanPool;
struct HfScoreboard;
struct HfCacheFigures;

/* ---- command line (php-fpm(8), php_getopt: short options cluster, values attached or not) ---- */

typedef struct HfPhpfpmArguments {
    char **arguments;    /* owned: argv without -D, -F, -y, -g and --, in order, argv[0] first, each
                            option separate and short: "-n", "-d", "a=b" */
    char *configuration; /* owned: FILE of -y/--fpm-config (the last), NULL when absent */
    char *prefix;        /* owned: DIR of -p/--prefix, NULL when absent; may be relative */
    char *pid_file;      /* owned: FILE of -g/--pid, NULL when absent */
    bool daemonize;      /* -D was given (and stripped) */
} HfPhpfpmArguments;

void hf_phpfpm_arguments_clear(HfPhpfpmArguments *arguments);

/* Parses argv. Returns 0, -ENOMEM, or -EINVAL with one line in error: an option that makes php-fpm
 * print and exit (-t, -i, -m, -v, -h), an unknown one, a missing value, an operand, or -d
 * fpm.config=, which an overlay would silently override. */
int hf_phpfpm_arguments_parse(char *const *argv, HfPhpfpmArguments *ret, HfText *error);

/* ---- the dump of `php-fpm -tt` ---- */

typedef struct HfPhpfpmPool {
    char *name;
    char *listen; /* with $pool and prefixes expanded: "127.0.0.1:9000", "9000", "/run/php.sock";
                     relative to the working directory if -p is relative */
    char *status_listen;          /* pm.status_listen, NULL unset; may be relative to -p or
                                     HfPhpfpmConfig.prefix */
    bool has_status_listen;       /* the build supports it (8.0 on), whether set or not */
    char *status_path;            /* pm.status_path, NULL unset */
    char *ping_path;              /* ping.path, NULL unset */
    char *allowed_clients;        /* listen.allowed_clients, NULL unset */
    bool shows_environment;       /* clear_env = no */
    int backlog;                  /* listen.backlog, > 0; HF_BACKLOG_MAXIMUM for -1 and unset */
    uint32_t mode;                /* listen.mode; 0660 when unset (php-fpm's default) */
    char *owner, *group;          /* listen.*, NULL unset */
    char *acl_users, *acl_groups; /* listen.*, NULL unset */
    char *run_user, *run_group;   /* user, group; NULL unset; likewise: */
    char *chroot;
    bool has_limit_extensions; /* the build supports it (5.3.9 on), whether set or not */
    char *manager;             /* pm: static, dynamic, ondemand */
    uint64_t max_children;
    char *memory_limit; /* as php-fpm applies it: php_admin_value[memory_limit], else php_value,
                           NULL unset */
} HfPhpfpmPool;

typedef struct HfPhpfpmConfig {
    HfPhpfpmPool *pools;
    size_t n_pools;
    char *pid_file; /* NULL unset; relative to the working directory if -p is relative */
    char *prefix;   /* compiled-in: the base of a relative pm.status_listen without -p. NULL unless
                       the dump is the answer to hf_phpfpm_question */
    char *file;     /* the compiled-in file if it was included, else NULL */
    bool has_systemd_interval;        /* the build supports systemd, so it sends READY=1 */
    uint64_t process_control_timeout; /* usec, 0 when unset */
} HfPhpfpmConfig;

void hf_phpfpm_config_clear(HfPhpfpmConfig *config);

#define HF_PHPFPM_UNSET "undefined" /* printed as the value of an unset key */

#define HF_PHPFPM_DUMP_MAX (16U * 1024 * 1024) /* bytes of a dump that are accepted */

/* Parses stderr of `php-fpm -tt`, which need not be NUL-terminated. Lines that are not part of the
 * dump are skipped; "undefined" and empty values count as unset. Returns 0, -ENOMEM, -ENODATA
 * without any pool, -E2BIG above HF_LISTENERS_MAX pools or HF_PHPFPM_DUMP_MAX bytes, or -EBADMSG
 * for a pool without listen, pm or pm.max_children, and for a malformed number, a control character
 * or a value truncated to log_limit in a key that is used here. */
int hf_phpfpm_config_parse(const char *dump, size_t length, HfPhpfpmConfig *ret);

/* ---- what it prints ---- */

typedef enum HfPhpfpmLevel {
    HF_PHPFPM_PLAIN, /* no prefix: a syntax error, the dynamic loader, the usage */
    HF_PHPFPM_DEBUG,
    HF_PHPFPM_NOTICE,
    HF_PHPFPM_WARNING,
    HF_PHPFPM_ERROR,
    HF_PHPFPM_ALERT,
    HF_PHPFPM_LEVEL_MAX_,
} HfPhpfpmLevel;

/* A line that php-fpm writes to stderr: "[date] LEVEL: text" (zlog.c), or a plain one of PHP
 * itself. */
typedef struct HfPhpfpmLine {
    HfPhpfpmLevel level;
    const char *text; /* borrowed, after the prefix; not NUL-terminated */
    size_t length;
    bool cut; /* php-fpm has shortened it to log_limit and put "..." at its end */
} HfPhpfpmLine;

/* Takes one line off the *rest_length bytes at *rest. Returns false when there is none. */
bool hf_phpfpm_line_next(const char **rest, size_t *rest_length, HfPhpfpmLine *ret);

/* Extracts php-fpm's complaint for people: the ERROR, ALERT, WARNING, unprefixed (a syntax error)
 * and script output lines without their "[date] LEVEL: " prefix, or all lines if there are none;
 * never blank lines. At most max_lines, each printable and of bounded length, separated by
 * newlines. */
void hf_phpfpm_complaint(const char *output, size_t length, size_t max_lines, HfText *text);

/* The overlay must be here for hf_phpfpm_include_missed to find its warning. */
#define HF_PHPFPM_OVERLAY_DIRECTORY "/proc/self/fd/"

/* Did the include of an overlay at HF_PHPFPM_OVERLAY_DIRECTORY match no file? php-fpm only warns of
 * that. Includes in the user's own files do not count. */
bool hf_phpfpm_include_missed(const char *output, size_t length);

#define HF_PHPFPM_STATUS_MAX (64U * 1024) /* bytes of a page that are accepted */

/* Parses the status page (pm.status_path) in its plain text form: "pool:   www\naccepted conn:
 * 17\n...", which need not be NUL-terminated; unknown lines are skipped. Returns 0, -E2BIG above
 * HF_PHPFPM_STATUS_MAX, -EBADMSG for a malformed number, or -ENODATA when accepted, idle or active
 * is missing. php-fpm knows queued for TCP only. */
int hf_phpfpm_status_parse(const char *page, size_t length, struct HfScoreboard *ret);
/* The same for the opcode cache's figures, which must be complete. */
int hf_phpfpm_cache_parse(const char *page, size_t length, struct HfCacheFigures *ret);

/* ---- the overlay ---- */

/* Adds the overlay for a question, `php-fpm [ARGUMENT...] -F -O -tt -y OVERLAY`: it includes the
 * user's file, sets what the dump needs, and has the compiled-in prefix and, after a colon, the
 * file printed as syslog.ident. include: made by hf_phpfpm_include. */
void hf_phpfpm_question(const char *include, HfText *text);

/* Makes the value of the include= line: FILE of -y made absolute with directory (NULL: with
 * /proc/self/cwd, where php-fpm itself looks), quoted so that the ini parser and glob(3) take it
 * literally; PREFIX/etc/php-fpm.conf with -p; without either the compiled-in default, as constants
 * that PHP's ini parser resolves: attempt 0 is PHP_CONFIG_FILE_PATH (Debian), attempt 1
 * PHP_SYSCONFDIR (upstream). Returns 0, -ENOMEM, -ENOENT when there is no such attempt, or -EINVAL
 * for a path with a control character. */
int hf_phpfpm_include(const HfPhpfpmArguments *arguments, const char *directory, unsigned attempt,
                      char **ret);

/* Adds a line with value quoted for the ini parser. Returns 0, or -EINVAL when that is impossible.
 */
int hf_phpfpm_add_literal(HfText *text, const char *before, const char *value, const char *after);

/* Overrides for one pool. Borrowed strings, NULL: no override. */
typedef struct HfPhpfpmOverride {
    const char *pool;
    const char *listen;
    const char *status_listen;
    const char *status_path; /* pm.status_path */
    const char *ping_path;   /* ping.path */
    const char *mode;        /* listen.mode of sockets that php-fpm itself binds, and their */
    uid_t owner;             /* owner, if there is a mode */
    gid_t group;
    const char *allowed_clients; /* one of our own addresses is added to it */
} HfPhpfpmOverride;

typedef struct HfPhpfpmOverlay {
    const char *include;
    const char *restated; /* from hf_phpfpm_restate, instead of include; NULL: use include */
    const char *pid_file; /* NULL: leave it to the user's configuration */
    /* usec; becomes process_control_timeout in whole seconds, rounded up, 1 s to 24 days */
    uint64_t drain_timeout;
    bool systemd_interval; /* write systemd_interval = 0 */
    const char *sections;  /* of our own pools; NULL: there are none */
    const HfPhpfpmOverride *overrides;
    size_t n_overrides;
} HfPhpfpmOverlay;

/* Writes one section for each override and [global] last, so that they win. Returns 0, -ENOMEM, or
 * -EINVAL for what an ini file cannot express: control characters, mixed quotes, $pool in a path,
 * or a path that is not absolute. */
int hf_phpfpm_overlay(const HfPhpfpmOverlay *overlay, HfText *text);

#define HF_PHPFPM_RESTATED_MAX (1024U * 1024) /* bytes */

/* Writes a complete configuration equivalent to the dump, so that php-fpm can be started as before
 * whatever has become of the user's files. It logs to syslog, as the dump does not say where else.
 * Returns 0, -ENOMEM, -E2BIG above HF_PHPFPM_RESTATED_MAX, or -EINVAL for what an ini file cannot
 * express or php-fpm has truncated. */
int hf_phpfpm_restate(const char *dump, size_t length, HfText *text);

/* The FPM_SOCKETS key under which php-fpm looks for an address: "127.0.0.1:9000", "::1:9000" (no
 * scope), a path; PORT has two (":::9000" and "0.0.0.0:9000"). index counts from 0. Returns 0,
 * -ENOENT past the last, or -EINVAL for HOST, for kinds that php-fpm does not know, and for a path
 * with ':', ',' or '=', which needs an alias. ret holds HF_ADDRESS_TEXT_MAX bytes. */
int hf_phpfpm_key(const HfAddress *address, unsigned index, char *ret);

/* Parses a listen value as php-fpm does: digits are a port, a value with a colon is an address or
 * host and a port (IPv6 with or without brackets), anything else is a path, even @name, below
 * prefix when relative (refused if prefix is NULL or relative itself). php-fpm cannot have a path
 * with a colon. Returns as hf_address_parse, or -ENOMEM. */
int hf_phpfpm_address(const char *listen, const char *prefix, HfAddress *ret);

/* ---- without php.ini ---- */

#define HF_PHPFPM_UNKNOWN "?" /* not a valid name of a variable */

/* Scans a configuration for variables, ${NAME}: prints one per line, and "?" for a file that cannot
 * be read. input: an HfText with the file's path, a newline, and the directory of relative
 * includes. For a child, since it reads files. */
void hf_phpfpm_scan(int fd, void *input);

/* Is php.ini needed for any of these variables (one per line)? It is not for those in one of the
 * environments with a name valid for an environment. */
bool hf_phpfpm_needs_ini(const char *names, char *const *environment, char *const *own);

/* ---- the plan ---- */

/* With more pools, private sockets for each are made only for probes and the warm-up by pages. */
#define HF_PHPFPM_FIGURES_MAX 256

/* Adds what the configuration means for the plan: listeners of every pool, pid file, readiness and
 * peaks. base, aliases: see HfDiscovery; page: for probes to ask for, "": none, but status pages
 * are needed, NULL: not even those; warms: HfPlanPool.warms may be set. Returns 0, or negative
 * errno with one line in error. */
int hf_phpfpm_plan(const HfPhpfpmConfig *config, const HfPhpfpmArguments *arguments,
                   const char *base, const char *aliases, const char *page, bool warms,
                   struct HfPlan *plan, HfText *error);

/* ---- warm-up ---- */

extern const char hf_phpfpm_warm_script[];

#define HF_PHPFPM_KEEPER "php-fpm: pool holdfast-keep-"

/* Adds the sections of our own pools beside the one with that index, for HfPlanPool.warms.
 * statuses: see hf_plan_warm_socket; keeps: see hf_plan_keeps; mode: of their sockets. Returns 0,
 * or -EINVAL for what an ini file cannot express. */
int hf_phpfpm_warm_section(const struct HfPlanPool *pool, size_t index, const char *statuses,
                           bool keeps, const char *mode, HfText *text);

/* HfAdapter.recent for the plain text status page with ?full. */
void hf_phpfpm_recent(const char *page, size_t length,
                      void (*callback)(const char *uri, const char *script, void *userdata),
                      void *userdata);
