/* SPDX-License-Identifier: MIT */
/* php-fpm's command line, its -tt dump, and the overlay that goes over the user's configuration. */
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
    char **arguments; /* owned: argv without -D, -F, -y, -g and --, in order, argv[0] first, every
                         option on its own and short: "-n", "-d", "a=b" */
    char *configuration; /* owned: FILE of -y/--fpm-config (the last), NULL when absent */
    char *prefix;        /* owned: DIR of -p/--prefix, NULL when absent; may be relative */
    char *pid_file;      /* owned: FILE of -g/--pid, NULL when absent */
    bool daemonize;      /* -D was given (and stripped) */
} HfPhpfpmArguments;

void hf_phpfpm_arguments_clear(HfPhpfpmArguments *arguments);

/* Returns 0, -ENOMEM, or -EINVAL with one line in error: an option that makes php-fpm print and
 * leave (-t, -i, -m, -v, -h), an unknown one, a missing value, an operand, or -d fpm.config=, which
 * an overlay would overrule unseen. */
int hf_phpfpm_arguments_parse(char *const *argv, HfPhpfpmArguments *ret, HfText *error);

/* ---- the dump of `php-fpm -tt` ---- */

typedef struct HfPhpfpmPool {
    char *name;
    char *listen;           /* after $pool and prefixes: "127.0.0.1:9000", "9000", "/run/php.sock";
                               relative to the working directory when -p is */
    char *status_listen;    /* pm.status_listen, NULL unset; may be relative to -p or
                               HfPhpfpmConfig.prefix */
    bool has_status_listen; /* the build knows it, set or not (8.0 on) */
    char *status_path;      /* pm.status_path, NULL unset */
    char *ping_path;        /* ping.path, NULL unset */
    char *allowed_clients;  /* listen.allowed_clients, NULL unset */
    bool shows_environment; /* clear_env = no */
    int backlog;            /* listen.backlog, > 0; HF_BACKLOG_MAXIMUM for -1 and unset */
    uint32_t mode;          /* listen.mode; 0660 when unset (php-fpm's default) */
    char *owner, *group;    /* listen.*, NULL unset */
    char *acl_users, *acl_groups; /* listen.*, NULL unset */
    char *run_user, *run_group;   /* user, group; NULL unset; likewise: */
    char *chroot;
    bool has_limit_extensions; /* the build knows it, set or not (5.3.9 on) */
    char *manager;             /* pm: static, dynamic, ondemand */
    uint64_t max_children;
    char *memory_limit; /* as php-fpm applies it: php_admin_value[memory_limit], else php_value,
                           NULL unset */
} HfPhpfpmPool;

typedef struct HfPhpfpmConfig {
    HfPhpfpmPool *pools;
    size_t n_pools;
    char *pid_file; /* NULL unset; relative to the working directory when -p is */
    char *prefix;   /* compiled-in: what a relative pm.status_listen is below without -p. NULL when
                       the dump was not asked for with hf_phpfpm_question */
    char *file;     /* compiled-in: that was included; NULL when another one was */
    bool has_systemd_interval;        /* the build knows systemd: READY=1 will come */
    uint64_t process_control_timeout; /* usec, 0 when unset */
} HfPhpfpmConfig;

void hf_phpfpm_config_clear(HfPhpfpmConfig *config);

#define HF_PHPFPM_UNSET "undefined" /* the value of what is not set */

#define HF_PHPFPM_DUMP_MAX (16U * 1024 * 1024) /* bytes of a dump that are read */

/* dump: stderr of `php-fpm -tt`, need not be NUL-terminated. Lines that are no dump lines are
 * skipped, "undefined" and empty values are unset. Returns 0, -ENOMEM, -ENODATA without any pool,
 * -E2BIG above HF_LISTENERS_MAX pools or HF_PHPFPM_DUMP_MAX bytes, -EBADMSG for a pool without
 * listen, pm or pm.max_children, and for a malformed number, a control character or a value that
 * php-fpm has cut to its log_limit in a key that is used here. */
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

/* One that php-fpm writes to stderr: "[date] LEVEL: text" (zlog.c), or a plain one of PHP itself.
 */
typedef struct HfPhpfpmLine {
    HfPhpfpmLevel level;
    const char *text; /* borrowed, behind the prefix; not NUL-terminated */
    size_t length;
    bool cut; /* php-fpm has shortened it to log_limit and put "..." at its end */
} HfPhpfpmLine;

/* Takes one line off the *rest_length bytes at *rest. Returns false when there is none. */
bool hf_phpfpm_line_next(const char **rest, size_t *rest_length, HfPhpfpmLine *ret);

/* php-fpm's own complaint, for people: the lines of output with their "[date] LEVEL: " prefix
 * dropped, ERROR, ALERT, WARNING, unprefixed ones (a syntax error) and what a script says only, or
 * all lines when there is none; blank lines never. At most max_lines, each printable and of bounded
 * length, a newline between them and none at the end. */
void hf_phpfpm_complaint(const char *output, size_t length, size_t max_lines, HfText *text);

/* Where php-fpm must find the overlay that hf_phpfpm_include_missed looks for. */
#define HF_PHPFPM_OVERLAY_DIRECTORY "/proc/self/fd/"

/* Did the include of an overlay at HF_PHPFPM_OVERLAY_DIRECTORY match no file? To php-fpm that is
 * only a warning. An include in the user's own files that matches nothing is not meant. */
bool hf_phpfpm_include_missed(const char *output, size_t length);

#define HF_PHPFPM_STATUS_MAX (64U * 1024) /* bytes of a page that are read */

/* The status page (pm.status_path) in its plain text form: "pool:   www\naccepted conn:   17\n...",
 * need not be NUL-terminated; unknown lines are skipped. Returns 0, -E2BIG above
 * HF_PHPFPM_STATUS_MAX, -EBADMSG for a malformed number, or -ENODATA when accepted, idle or active
 * is missing. php-fpm knows queued of TCP only. */
int hf_phpfpm_status_parse(const char *page, size_t length, struct HfScoreboard *ret);
/* The same of the opcode cache's figures, all of which are needed. */
int hf_phpfpm_cache_parse(const char *page, size_t length, struct HfCacheFigures *ret);

/* ---- the overlay ---- */

/* The overlay that only asks, for `php-fpm [ARGUMENT...] -F -O -tt -y OVERLAY`: includes the user's
 * file, forces what the dump needs, and has the compiled-in prefix, and behind a colon the file,
 * printed as syslog.ident. include is an expression as hf_phpfpm_include makes it. */
void hf_phpfpm_question(const char *include, HfText *text);

/* The value of the include= line: FILE of -y made absolute with directory (NULL: with
 * /proc/self/cwd, where php-fpm itself looks), quoted so that the ini parser and glob(3) take it as
 * it is; PREFIX/etc/php-fpm.conf with -p; without both the compiled-in default, as the constants
 * that PHP's ini parser resolves: attempt 0 is PHP_CONFIG_FILE_PATH (Debian), attempt 1
 * PHP_SYSCONFDIR (upstream). Returns 0, -ENOMEM, -ENOENT when there is no such attempt, or -EINVAL
 * for a path with a control character. */
int hf_phpfpm_include(const HfPhpfpmArguments *arguments, const char *directory, unsigned attempt,
                      char **ret);

/* Adds a line with value so that the ini parser takes it literally. Returns 0, or -EINVAL when
 * there is no such way. */
int hf_phpfpm_add_literal(HfText *text, const char *before, const char *value, const char *after);

/* What is overridden in one pool. Borrowed strings, NULL: leave. */
typedef struct HfPhpfpmOverride {
    const char *pool;
    const char *listen;
    const char *status_listen;
    const char *status_path; /* pm.status_path */
    const char *ping_path;   /* ping.path */
    const char *mode;        /* listen.mode of what php-fpm makes itself, likewise: */
    uid_t owner;             /* where there is a mode */
    gid_t group;
    const char *allowed_clients; /* to whom another one of ours is added */
} HfPhpfpmOverride;

typedef struct HfPhpfpmOverlay {
    const char *include;
    const char *restated; /* by hf_phpfpm_restate, in the place of include; NULL: include counts */
    const char *pid_file; /* NULL: as the user's configuration says */
    /* usec; process_control_timeout, whole seconds, rounded up, at least 1, at most 24 days */
    uint64_t drain_timeout;
    bool systemd_interval; /* write systemd_interval = 0 */
    const char *sections;  /* of pools of our own; NULL: there are none */
    const HfPhpfpmOverride *overrides;
    size_t n_overrides;
} HfPhpfpmOverlay;

/* Overrides come as one section each, [global] last, so that they win. Returns 0, -ENOMEM, or
 * -EINVAL for what an ini file cannot carry: control characters, quotes mixed, $pool in a path, or
 * a path that is not absolute. */
int hf_phpfpm_overlay(const HfPhpfpmOverlay *overlay, HfText *text);

#define HF_PHPFPM_RESTATED_MAX (1024U * 1024) /* bytes */

/* A whole configuration that says what the dump says, so that php-fpm can be started as it was
 * before whatever has become of the user's files; it logs to syslog, as the dump does not tell
 * where else. Returns 0, -ENOMEM, -E2BIG above HF_PHPFPM_RESTATED_MAX, or -EINVAL for what an ini
 * file cannot carry or php-fpm has cut. */
int hf_phpfpm_restate(const char *dump, size_t length, HfText *text);

/* The FPM_SOCKETS key under which php-fpm looks the address up: "127.0.0.1:9000", "::1:9000" (no
 * scope), a path; PORT has two (":::9000" and "0.0.0.0:9000"). index counts from 0. Returns 0,
 * -ENOENT past the last, -EINVAL for HOST, for kinds that php-fpm does not know and for a path with
 * ':', ',' or '=', which needs an alias. ret holds HF_ADDRESS_TEXT_MAX bytes. */
int hf_phpfpm_key(const HfAddress *address, unsigned index, char *ret);

/* The address behind a listen value as php-fpm reads it: digits are a port, with a colon it is an
 * address or host and a port (IPv6 with or without brackets), all else is a path, @name too, taken
 * below prefix when relative (NULL or itself relative: refused). A path with a colon does not exist
 * for php-fpm. Returns as hf_address_parse, or -ENOMEM. */
int hf_phpfpm_address(const char *listen, const char *prefix, HfAddress *ret);

/* ---- without php.ini ---- */

#define HF_PHPFPM_UNKNOWN "?" /* a name that no variable has */

/* Looks through a configuration for variables, ${NAME}: prints a line for each, and "?" for what
 * cannot be read. input: a text of the file's path, a newline, and what relative includes are
 * below. For a child: it reads files. */
void hf_phpfpm_scan(int fd, void *input);

/* Can only php.ini say what one of these variables, a line each, is? Those that are in one of the
 * environments, and are named as variables of an environment are, need no php.ini. */
bool hf_phpfpm_needs_ini(const char *names, char *const *environment, char *const *own);

/* ---- the plan ---- */

/* Where there are more pools, a private socket for each is made only for probes and the warm-up by
 * pages. */
#define HF_PHPFPM_FIGURES_MAX 256

/* Adds what the configuration means for the plan: the listeners of every pool, pid file, readiness
 * and peaks. base, aliases: see HfDiscovery; page: that probes ask for, "": none, but scoreboards
 * are needed, NULL: not even those; warms: HfPlanPool.warms may be set. Returns 0 or negative errno
 * with one line in error. */
int hf_phpfpm_plan(const HfPhpfpmConfig *config, const HfPhpfpmArguments *arguments,
                   const char *base, const char *aliases, const char *page, bool warms,
                   struct HfPlan *plan, HfText *error);

/* ---- warm-up ---- */

extern const char hf_phpfpm_warm_script[];

/* Adds the pool that stands beside the one of that index for HfPlanPool.warms. statuses: see
 * hf_plan_warm_socket; mode: of its socket. Returns 0, or -EINVAL for what an ini file cannot
 * carry. */
int hf_phpfpm_warm_section(const struct HfPlanPool *pool, size_t index, const char *statuses,
                           const char *mode, HfText *text);

/* HfAdapter.recent of the status page in its plain text form with ?full. */
void hf_phpfpm_recent(const char *page, size_t length,
                      void (*callback)(const char *uri, const char *script, void *userdata),
                      void *userdata);
