/* SPDX-License-Identifier: MIT */
/* What the user asked for: a service, and what to do with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/parse.h"
#include "format/address.h"

/* How a reload replaces the old generation. */
typedef enum HfHandover {
    HF_HANDOVER_AUTO,   /* SWITCH where all listeners have two sides, else GENTLE */
    HF_HANDOVER_SWITCH, /* the next one starts on the other side, which then gets all new ones */
    HF_HANDOVER_GENTLE, /* both share them; the old one settles, then retires its workers one by one
                           (php-fpm) */
    HF_HANDOVER_AT_ONCE, /* the old one gets its stop signal */
    HF_HANDOVER_MAX_,
} HfHandover;
HF_STRTAB_DECLARE(hf_handover, HfHandover); /* auto, switch, gentle, at-once */

/* Which processes of a generation are ended with it. */
typedef enum HfKillMode {
    HF_KILL_MODE_SERVICE, /* processes that run its program; in the end also holders of a listener
                           */
    HF_KILL_MODE_ALL,     /* every process; in the end every one of our descendants, too */
    HF_KILL_MODE_MAX_,
} HfKillMode;
HF_STRTAB_DECLARE(hf_kill_mode, HfKillMode); /* service, all */

/* Whether generations get sub-cgroups. */
typedef enum HfCgroupUse {
    HF_CGROUP_USE_AUTO, /* if holdfast's own cgroup was delegated to it */
    HF_CGROUP_USE_OFF,
    HF_CGROUP_USE_MAX_,
} HfCgroupUse;
HF_STRTAB_DECLARE(hf_cgroup_use, HfCgroupUse); /* auto, off */

/* How to tell that a generation is ready. */
typedef enum HfReadiness {
    HF_READINESS_AUTO,    /* php-fpm: NOTIFY or PIDFILE, depending on its build; others: ALIVE */
    HF_READINESS_NOTIFY,  /* READY=1 (sd_notify(3)) */
    HF_READINESS_PIDFILE, /* php-fpm's pid file of that generation appears */
    HF_READINESS_DELAY,   /* READY=1, or still running after ready_delay */
    HF_READINESS_LOG,     /* ready_text appears in its stdout or stderr */
    HF_READINESS_MAX_,
} HfReadiness;
HF_STRTAB_DECLARE(hf_readiness, HfReadiness); /* auto, notify, pidfile, delay, log */

/* The service's standard input. */
typedef enum HfStdin {
    HF_STDIN_NULL, /* /dev/null */
    HF_STDIN_INHERIT,
    HF_STDIN_MAX_,
} HfStdin;
HF_STRTAB_DECLARE(hf_stdin, HfStdin); /* null, inherit */

/* Whose READY=1 and other messages are accepted. */
typedef enum HfNotifyAccess {
    HF_NOTIFY_ACCESS_MAIN, /* the main process */
    HF_NOTIFY_ACCESS_ALL,  /* every process of the generation's session */
    HF_NOTIFY_ACCESS_MAX_,
} HfNotifyAccess;
HF_STRTAB_DECLARE(hf_notify_access, HfNotifyAccess); /* main, all */

/* How the health of a service is probed. */
typedef enum HfProbeKind {
    HF_PROBE_NONE,
    HF_PROBE_FASTCGI, /* what: path and query of a page that must answer 200 to 399 */
    HF_PROBE_EXEC,    /* what: shell command that must succeed */
    HF_PROBE_TCP,     /* a connection must be accepted, on a unix socket as well */
    HF_PROBE_HTTP,    /* what: as for FASTCGI, over HTTP/1.1 */
} HfProbeKind;

typedef struct HfProbe {
    HfProbeKind kind;
    char *what; /* owned; NULL for NONE and TCP */
} HfProbe;

/* What fills the caches of a generation before it serves. */
typedef enum HfWarm {
    HF_WARM_AUTO,    /* compiles the scripts in the opcode cache of the previous generation */
    HF_WARM_NONE,    /* nothing at all */
    HF_WARM_RECENT,  /* the pages last requested from its workers */
    HF_WARM_FASTCGI, /* what: path and query */
    HF_WARM_HTTP,    /* what: path and query */
    HF_WARM_FILE,    /* what: a file with a page on each line, absolute */
    HF_WARM_EXEC,    /* what: a shell command */
    HF_WARM_MAX_,
} HfWarm;

/* The kind of an entry of HfSettings.warm; HF_WARM_MAX_: none. ret_what: the text after the colon.
 */
HfWarm hf_warm_kind(const char *text, const char **ret_what);

#define HF_NAME_MAX 64 /* bytes of an instance's or listener's name */

#define HF_BACKLOG_MAXIMUM (-1) /* net.core.somaxconn */
#define HF_MODE_UNSET      UINT32_MAX

#define HF_SOCKET_OPTIONS_MAX 8

/* One socket to be bound. Owned strings. */
typedef struct HfListenerSpec {
    HfAddress address;
    char *name;     /* LISTEN_FDNAMES entry, [A-Za-z0-9._-]{1,64}; NULL: made from the address */
    bool ipv6_only; /* for [::], which otherwise accepts IPv4 as well */
    char interface[16];                    /* that it is bound to; "": any */
    int options[HF_SOCKET_OPTIONS_MAX][3]; /* level, name, value for setsockopt(2) */
    size_t n_options;
    int backlog;   /* > 0, or HF_BACKLOG_MAXIMUM */
    uint32_t mode; /* of a unix path; HF_MODE_UNSET: left to the umask */
    char *owner;   /* user name or number, NULL: unset; without group also sets the user's group */
    char *group;   /* NULL unset */
    char *acl_users;  /* comma-separated names, NULL unset; */
    char *acl_groups; /* if either ACL is set, owner and group are ignored */
    const struct HfNames
        *names; /* what name services say about it; NULL: not asked yet. Borrowed, and not copied */
} HfListenerSpec;

/* Sets no address, the largest backlog, no mode. */
void hf_listener_spec_init(HfListenerSpec *spec);
/* Frees what it owns and sets it as hf_listener_spec_init does. */
void hf_listener_spec_clear(HfListenerSpec *spec);
/* Deep copy. Returns 0 or -ENOMEM. */
int hf_listener_spec_copy(const HfListenerSpec *spec, HfListenerSpec *ret);

#define HF_LISTENERS_MAX     4096 /* listeners of one instance */
#define HF_ENVIRONMENT_MAX   1024 /* environment entries of one instance */
#define HF_HEADERS_MAX       64   /* per request over HTTP */
#define HF_WARMS_MAX         256  /* values of --warm */
#define HF_WARM_PARALLEL_MAX 64   /* warm-up requests at a time */
#define HF_DRAINING_MAX      5    /* old generations that may finish at the same time */

typedef struct HfSettings {
    char *name;    /* instance, [a-z0-9._-]{1,64}; NULL: the program's base name */
    char *adapter; /* name; NULL: chosen by program (see service/adapter.h) */
    char *handoff; /* name; NULL: chosen by the adapter */
    HfListenerSpec *listeners;
    size_t n_listeners;
    bool listens_nowhere;   /* --listen=none: the service has no socket */
    char *directory;        /* of the service; NULL: holdfast's own when it started */
    uint64_t ready_timeout; /* usec, default 60 s */
    uint64_t drain_timeout; /* usec, default 30 s */
    char *preflight;        /* shell command that must succeed before a start; NULL: none */
    HfProbe canary;         /* for the next generation before it replaces another */
    char *document_root;    /* scripts are below it; NULL: their paths are complete */
    char **warm;            /* see hf_warm_kind; NULL: only what the adapter does */
    uint64_t warm_timeout;  /* usec, default 10 s */
    uint64_t warm_parallel; /* requests at a time; 0, the default: half the cores, at least one */
    HfReadiness readiness;
    uint64_t ready_delay; /* usec, default 1 s */
    char *ready_text;     /* 1 to HF_MATCHER_MAX bytes; NULL unless readiness is LOG */
    HfNotifyAccess notify_access;
    HfStdin standard_input;
    HfHandover handover;
    uint64_t stop_signal; /* number; 0, the default: chosen by the adapter */
    HfKillMode kill_mode;
    uint64_t stop_delay;    /* usec, default 0 */
    bool exit_with_service; /* holdfast ends when the service ends by itself */
    HfCgroupUse cgroup;
    uint64_t max_draining;   /* generations, default 4 */
    uint64_t park;           /* usec, default 0: none is parked */
    uint64_t backoff_max;    /* usec, default 30 s */
    uint64_t recycle_every;  /* usec; HF_USEC_INFINITY, the default: never */
    char **http_headers;     /* "NAME: VALUE" of requests over HTTP; NULL: none */
    HfProbe probe;           /* for the active generation, repeatedly */
    uint64_t probe_every;    /* usec, default 10 s */
    uint64_t probe_timeout;  /* usec, default 5 s */
    uint64_t probe_failures; /* in a row, default 3 */
    uint64_t watchdog; /* usec from one WATCHDOG=1 to the next; HF_USEC_INFINITY, the default: none
                          expected */
    uint64_t probe_hung_after; /* usec; HF_USEC_INFINITY, the default: never */
    uint64_t recycle_memory;   /* bytes; 0, the default: never */
    uint64_t recycle_check;    /* usec, default 30 s: how often to look at the memory */
    uint64_t busy_after;       /* usec, default 10 s; HF_USEC_INFINITY: never */
    char **environment;        /* NAME=VALUE of the service, each name once; NULL: none */
    HfLogFormat log_format;
    HfLogLevel log_level;   /* the least urgent that is written, default info */
    char *user;             /* of the service, name or number; NULL: holdfast's own */
    char *group;            /* NULL: the user's, or holdfast's own */
    bool no_new_privileges; /* of the service */
    uint64_t capabilities;  /* the most the service can have, 1 << number each; HF_CAPABILITIES_ALL,
                               the default: unchanged */
    char *on_event;         /* shell command for events; NULL: none */
    uint64_t on_event_timeout; /* usec, default 30 s */
    uint64_t queue_every;      /* usec; HF_USEC_INFINITY, the default: never */
    uint64_t queue_warn;       /* percent of a queue, default 80 */
    bool take_over;            /* take over the sockets of a running server */
    uint64_t take_over_pid;    /* its pid; 0: any process that holds them */
    char **command;            /* COMMAND [ARG...], NULL-terminated vector, at least one string */
} HfSettings;

/* The defaults. */
void hf_settings_init(HfSettings *settings);
/* Does warm contain an entry of that kind? */
bool hf_settings_warms(const HfSettings *settings, HfWarm kind);
/* Frees what it owns, or does nothing to a zeroed one, and sets it as hf_settings_init does. */
void hf_settings_clear(HfSettings *settings);
#define HF_CLEANUP_SETTINGS __attribute__((cleanup(hf_settings_clear)))

typedef enum HfVerb {
    HF_VERB_RUN,
    HF_VERB_EXEC,
    HF_VERB_CHECK,
    HF_VERB_RELOAD,
    HF_VERB_RESTART,
    HF_VERB_ROLLBACK,
    HF_VERB_STOP,
    HF_VERB_HOLD,
    HF_VERB_RELEASE,
    HF_VERB_STATUS,
    HF_VERB_HISTORY,
    HF_VERB_METRICS,
    HF_VERB_PROBE,
    HF_VERB_UPGRADE,
    HF_VERB_MAX_,
} HfVerb;
HF_STRTAB_DECLARE(hf_verb, HfVerb);

/* Exit statuses, holdfast(1). */
enum {
    HF_EXIT_DONE = 0,
    HF_EXIT_FAILED = 1,
    HF_EXIT_USAGE = 2,
    HF_EXIT_NOT_RUNNING = 3,
    HF_EXIT_NOT_PERMITTED = 4,
};

/* Options of the verbs that talk to a running instance. Owned strings. */
typedef struct HfCall {
    char *name;     /* --name, NULL: the only running instance */
    bool no_wait;   /* --no-wait */
    bool take_over; /* --take-over, of reload */
    bool quiet;     /* --quiet */
    bool json;      /* --json */
    bool watch;     /* --watch */
    bool http;      /* --http */
    char *unit;     /* --unit, in place of an instance; uses settings.drain_timeout */
    uint64_t hold;  /* --timeout, usec, of hold; 0: HF_HOLD_DEFAULT */
} HfCall;

/* For how long connections can be held, usec. */
#define HF_HOLD_MINIMUM (100 * HF_USEC_PER_MSEC)
#define HF_HOLD_DEFAULT (30 * HF_USEC_PER_SEC)
#define HF_HOLD_MAXIMUM (24 * 3600 * HF_USEC_PER_SEC)

void hf_call_clear(HfCall *call);

/* Options of probe besides settings.probe and settings.http_headers. Owned string. */
typedef struct HfProbing {
    HfAddress address;
    char *root;       /* --fastcgi-root, NULL: the path of the page is complete */
    uint64_t timeout; /* --timeout, usec, default 5 s */
} HfProbing;

void hf_probing_init(HfProbing *probing);
/* Frees what it owns and sets it as hf_probing_init does. */
void hf_probing_clear(HfProbing *probing);

#define HF_OPTIONS_MAX 80 /* names of options at most */

typedef enum HfHelp {
    HF_HELP_NONE,
    HF_HELP_SHORT, /* for run and check only the options that matter most */
    HF_HELP_ALL,
} HfHelp;

/* Everything on a command line. */
typedef struct HfCommandLine {
    int argc; /* source of the rest, borrowed */
    char *const *argv;
    HfVerb verb;         /* HF_VERB_MAX_: none was given, so help or version is set */
    HfHelp help;         /* --help was given: settings may be incomplete */
    bool version;        /* --version, likewise */
    HfSettings settings; /* run, exec, check */
    char *config;        /* --config, NULL: none; run, exec, check */
    HfCall call;         /* reload, restart, rollback, stop, hold, release */
    HfProbing probing;   /* probe */
} HfCommandLine;

void hf_command_line_clear(HfCommandLine *line);
#define HF_CLEANUP_COMMAND_LINE __attribute__((cleanup(hf_command_line_clear)))

/* Turns any text into a valid name: every character outside [A-Za-z0-9._-] becomes '-', truncated
 * at HF_NAME_MAX, in lower case on request, "-" for an empty text, without a leading '.'. Owned
 * result. Returns 0 or -ENOMEM. */
int hf_name_clean(const char *text, bool lower, char **ret);

/* Derives a listener's name from its address: "127.0.0.1-9000", "9000", "run-php-www.sock". Owned.
 * Returns 0 or -ENOMEM. */
int hf_name_of_address(const HfAddress *address, char **ret);

/* Does this environment entry ("NAME=value") belong to a handoff or to sd_notify(3), so that users
 * cannot set it: LISTEN_FD*, LISTEN_PID*, FPM_SOCKETS*, NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC,
 * MAINPID, FDSTORE, SERVER_STARTER_*, HOLDFAST_*? Others are allowed, such as LISTEN_ADDRESS. */
bool hf_name_is_reserved(const char *entry);

/* The instance's name: the setting, or the base name of the command. Owned. Returns 0 or -ENOMEM.
 */
int hf_name_of_instance(const HfSettings *settings, char **ret);

#define HF_RUNTIME_BASE "/run/holdfast" /* of the system's instances */

/* The directory that contains those of the caller's instances. Owned. Returns 0 or -ENOMEM. */
int hf_name_of_runtime_base(char **ret);
