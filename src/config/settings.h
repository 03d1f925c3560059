/* SPDX-License-Identifier: MIT */
/* What the user asked for: a service, and what is to be done with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/parse.h"
#include "format/address.h"

/* How a reload's next generation takes over, and the old one is let go. */
typedef enum HfHandover {
    HF_HANDOVER_AUTO,    /* SWITCH where each listener has two sides, else GENTLE */
    HF_HANDOVER_SWITCH,  /* starts on the other side of the listeners, then all go there at once */
    HF_HANDOVER_GENTLE,  /* shares them; the old one settles, then its workers are retired one after
                            another (php-fpm) */
    HF_HANDOVER_AT_ONCE, /* is sent its stop signal */
    HF_HANDOVER_MAX_,
} HfHandover;
HF_STRTAB_DECLARE(hf_handover, HfHandover); /* auto, switch, gentle, at-once */

/* What of a generation is ended with it. */
typedef enum HfKillMode {
    HF_KILL_MODE_SERVICE, /* what runs the service's program; at the end also who holds a listener
                           */
    HF_KILL_MODE_ALL,     /* every process; at the end also all else that descends from us */
    HF_KILL_MODE_MAX_,
} HfKillMode;
HF_STRTAB_DECLARE(hf_kill_mode, HfKillMode); /* service, all */

/* Whether generations get sub-cgroups. */
typedef enum HfCgroupUse {
    HF_CGROUP_USE_AUTO, /* where holdfast's own cgroup was delegated to it */
    HF_CGROUP_USE_OFF,
    HF_CGROUP_USE_MAX_,
} HfCgroupUse;
HF_STRTAB_DECLARE(hf_cgroup_use, HfCgroupUse); /* auto, off */

/* How a generation is seen to be ready. */
typedef enum HfReadiness {
    HF_READINESS_AUTO,    /* php-fpm: NOTIFY or PIDFILE, as its build can; others: ALIVE */
    HF_READINESS_NOTIFY,  /* READY=1 (sd_notify(3)) */
    HF_READINESS_PIDFILE, /* php-fpm's pid file of that generation appears */
    HF_READINESS_DELAY,   /* READY=1, or still there ready_delay after its start */
    HF_READINESS_LOG,     /* ready_text appears in what it writes to stdout or stderr */
    HF_READINESS_MAX_,
} HfReadiness;
HF_STRTAB_DECLARE(hf_readiness, HfReadiness); /* auto, notify, pidfile, delay, log */

/* What the service has as its standard input. */
typedef enum HfStdin {
    HF_STDIN_NULL, /* nothing: /dev/null */
    HF_STDIN_INHERIT,
    HF_STDIN_MAX_,
} HfStdin;
HF_STRTAB_DECLARE(hf_stdin, HfStdin); /* null, inherit */

/* Whose READY=1 and other messages are believed. */
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
    HF_PROBE_TCP,     /* a connection must be taken; also of a unix socket */
    HF_PROBE_HTTP,    /* what: as FASTCGI, over HTTP/1.1 */
} HfProbeKind;

typedef struct HfProbe {
    HfProbeKind kind;
    char *what; /* owned; NULL for NONE and TCP */
} HfProbe;

/* What fills the caches of a generation before it serves. */
typedef enum HfWarm {
    HF_WARM_AUTO,    /* the scripts in the opcode cache of the one before are compiled */
    HF_WARM_NONE,    /* not even that */
    HF_WARM_RECENT,  /* the pages that its workers were asked for last */
    HF_WARM_FASTCGI, /* what: path and query */
    HF_WARM_HTTP,    /* what: likewise */
    HF_WARM_FILE,    /* what: a file with a page on each line, absolute */
    HF_WARM_EXEC,    /* what: a shell command */
    HF_WARM_MAX_,
} HfWarm;

/* Of one entry of HfSettings.warm; HF_WARM_MAX_: none. ret_what: what is behind the colon. */
HfWarm hf_warm_kind(const char *text, const char **ret_what);

#define HF_NAME_MAX 64 /* bytes of an instance's or listener's name */

#define HF_BACKLOG_MAXIMUM (-1) /* net.core.somaxconn */
#define HF_MODE_UNSET      UINT32_MAX

#define HF_SOCKET_OPTIONS_MAX 8

/* One socket to be bound. Owned strings. */
typedef struct HfListenerSpec {
    HfAddress address;
    char *name;     /* LISTEN_FDNAMES entry, [A-Za-z0-9._-]{1,64}; NULL: made from the address */
    bool ipv6_only; /* of [::], which takes IPv4, too */
    char interface[16];                    /* that it is bound to; "": any */
    int options[HF_SOCKET_OPTIONS_MAX][3]; /* level, name, value for setsockopt(2) */
    size_t n_options;
    int backlog;      /* > 0, or HF_BACKLOG_MAXIMUM */
    uint32_t mode;    /* of a unix path; HF_MODE_UNSET: as the umask leaves it */
    char *owner;      /* user name or number, NULL unset; sets the user's group too without group */
    char *group;      /* NULL unset */
    char *acl_users;  /* comma-separated names, NULL unset; */
    char *acl_groups; /* with either ACL set owner and group are ignored */
    const struct HfNames *names; /* what the name services say of all this; NULL: not asked yet.
                                    Borrowed, a copy is without */
} HfListenerSpec;

/* Nothing set: no address, the largest backlog, no mode. */
void hf_listener_spec_init(HfListenerSpec *spec);
/* Frees what it owns; as after hf_listener_spec_init then. */
void hf_listener_spec_clear(HfListenerSpec *spec);
/* Deep copy. Returns 0 or -ENOMEM. */
int hf_listener_spec_copy(const HfListenerSpec *spec, HfListenerSpec *ret);

#define HF_LISTENERS_MAX     4096 /* listeners of one instance */
#define HF_ENVIRONMENT_MAX   1024 /* environment entries of one instance */
#define HF_HEADERS_MAX       64   /* of requests over HTTP */
#define HF_WARMS_MAX         256  /* of --warm */
#define HF_WARM_PARALLEL_MAX 64   /* requests of it at a time */
#define HF_DRAINING_MAX      5    /* old generations that may finish at the same time */

typedef struct HfSettings {
    char *name;    /* instance, [a-z0-9._-]{1,64}; NULL: the program's base name */
    char *adapter; /* its name; NULL: by the program's (service/adapter.h says which there are) */
    char *handoff; /* its name; NULL: by the adapter */
    HfListenerSpec *listeners;
    size_t n_listeners;
    bool listens_nowhere;   /* --listen=none: the service has no socket */
    char *directory;        /* of the service; NULL: holdfast's own at its start */
    uint64_t ready_timeout; /* usec, default 60 s */
    uint64_t drain_timeout; /* usec, default 30 s */
    char *preflight;        /* shell command that must succeed before a start; NULL: none */
    HfProbe canary;         /* asked of the next generation before it replaces one */
    char *document_root;    /* what pages are scripts below; NULL: they are whole paths */
    char **warm;            /* each as hf_warm_kind takes it; NULL: only what the adapter does */
    uint64_t warm_timeout;  /* usec, default 10 s */
    uint64_t warm_parallel; /* requests at a time; 0, the default: half the cores, at least one */
    HfReadiness readiness;
    uint64_t ready_delay; /* usec, default 1 s */
    char *ready_text;     /* 1 to HF_MATCHER_MAX bytes; NULL unless readiness is LOG */
    HfNotifyAccess notify_access;
    HfStdin standard_input;
    HfHandover handover;
    uint64_t stop_signal; /* number; 0, the default: by the adapter */
    HfKillMode kill_mode;
    uint64_t stop_delay;    /* usec, default 0 */
    bool exit_with_service; /* holdfast ends when the service ends by itself */
    HfCgroupUse cgroup;
    uint64_t max_draining;     /* generations, default 4 */
    uint64_t park;             /* usec, default 0: nobody is parked */
    uint64_t backoff_max;      /* usec, default 30 s */
    uint64_t recycle_every;    /* usec; HF_USEC_INFINITY, the default: never */
    char **http_headers;       /* "NAME: VALUE" of requests over HTTP; NULL: none */
    HfProbe probe;             /* asked of the active generation again and again */
    uint64_t probe_every;      /* usec, default 10 s */
    uint64_t probe_timeout;    /* usec, default 5 s */
    uint64_t probe_failures;   /* in a row, default 3 */
    uint64_t watchdog;         /* usec from one WATCHDOG=1 to the next; HF_USEC_INFINITY, the
                                  default: none is awaited */
    uint64_t probe_hung_after; /* usec; HF_USEC_INFINITY, the default: never */
    uint64_t recycle_memory;   /* bytes; 0, the default: never */
    uint64_t recycle_check;    /* usec, default 30 s: how often the memory is looked at */
    uint64_t busy_after;       /* usec, default 10 s; HF_USEC_INFINITY: never */
    char **environment;        /* NAME=VALUE of the service, each name once; NULL: none */
    HfLogFormat log_format;
    HfLogLevel log_level;      /* the least urgent that is written, default info */
    char *user;                /* of the service, name or number; NULL: holdfast's own */
    char *group;               /* NULL: the user's, or holdfast's own */
    bool no_new_privileges;    /* of the service */
    uint64_t capabilities;     /* 1 << number each, that the service can have at most;
                                  HF_CAPABILITIES_ALL, the default: as they are */
    char *on_event;            /* shell command for what happens; NULL: none */
    uint64_t on_event_timeout; /* usec, default 30 s */
    uint64_t queue_every;      /* usec; HF_USEC_INFINITY, the default: never */
    uint64_t queue_warn;       /* percent of a queue, default 80 */
    bool take_over;            /* the sockets of a server that runs */
    uint64_t take_over_pid;    /* its pid; 0: whoever holds them */
    char **command;            /* COMMAND [ARG...], NULL-terminated vector, at least one string */
} HfSettings;

/* The defaults. */
void hf_settings_init(HfSettings *settings);
/* Does warm name one of that kind? */
bool hf_settings_warms(const HfSettings *settings, HfWarm kind);
/* Frees what it owns, takes a zeroed one too; as after hf_settings_init then. */
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
    char *unit;     /* --unit, NULL: an instance is meant; with it settings.drain_timeout counts */
} HfCall;

void hf_call_clear(HfCall *call);

/* Options of probe beside settings.probe and settings.http_headers. Owned string. */
typedef struct HfProbing {
    HfAddress address;
    char *root;       /* --fastcgi-root, NULL: the path of the page is whole */
    uint64_t timeout; /* --timeout, usec, default 5 s */
} HfProbing;

void hf_probing_init(HfProbing *probing);
/* As after hf_probing_init then. */
void hf_probing_clear(HfProbing *probing);

#define HF_OPTIONS_MAX 80 /* names of options, at most */

typedef enum HfHelp {
    HF_HELP_NONE,
    HF_HELP_SHORT, /* of run and check the options that matter most */
    HF_HELP_ALL,
} HfHelp;

/* All that a command line says. */
typedef struct HfCommandLine {
    int argc; /* what it was read from, borrowed */
    char *const *argv;
    HfVerb verb;         /* HF_VERB_MAX_: none was given, then help or version is set */
    HfHelp help;         /* --help was given: settings need not be complete */
    bool version;        /* --version, likewise */
    HfSettings settings; /* run, exec, check */
    char *config;        /* --config, NULL: none; run, exec, check */
    HfCall call;         /* reload, restart, rollback, stop */
    HfProbing probing;   /* probe */
} HfCommandLine;

void hf_command_line_clear(HfCommandLine *line);
#define HF_CLEANUP_COMMAND_LINE __attribute__((cleanup(hf_command_line_clear)))

/* Makes a name of what is none: every character outside [A-Za-z0-9._-] becomes '-', cut at
 * HF_NAME_MAX, lower case when asked for, "-" for an empty text and no leading '.'. Owned result.
 * Returns 0 or -ENOMEM. */
int hf_name_clean(const char *text, bool lower, char **ret);

/* A listener's name from its address: "127.0.0.1-9000", "9000", "run-php-www.sock". Owned. Returns
 * 0 or -ENOMEM. */
int hf_name_of_address(const HfAddress *address, char **ret);

/* Is this environment entry ("NAME=value") of a handoff or of sd_notify(3), and not the user's to
 * set: LISTEN_FD*, LISTEN_PID*, FPM_SOCKETS*, NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC, MAINPID,
 * FDSTORE, SERVER_STARTER_*, HOLDFAST_*? Other names stay, such as a user's own LISTEN_ADDRESS. */
bool hf_name_is_reserved(const char *entry);

/* The instance's name: the setting, or the base name of the command. Owned. Returns 0 or -ENOMEM.
 */
int hf_name_of_instance(const HfSettings *settings, char **ret);

#define HF_RUNTIME_BASE "/run/holdfast" /* of the system's instances */

/* The directory above those of the caller's instances. Owned. Returns 0 or -ENOMEM. */
int hf_name_of_runtime_base(char **ret);
