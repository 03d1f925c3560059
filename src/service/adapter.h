/* SPDX-License-Identifier: MIT */
/* What holdfast must know about a kind of server, and about one service of that kind. A new kind is
 * one object of type HfAdapter in a file of its own, plus its line in table.c. An adapter starts
 * nothing and waits for nothing: it formulates questions and interprets answers; run asks them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/options.h"
#include "kernel/credentials.h"
#include "service/handoff.h"

typedef struct HfAdapter HfAdapter;

#define HF_PLAN_PING "/ping" /* a page that php-fpm answers itself; the default for probes */

/* How a pool can be probed. Snapshots contain these numbers. */
typedef enum HfPoolProbe {
    HF_POOL_PINGS = 1 << 0,       /* the overlay sets the ping page */
    HF_POOL_COUNTS = 1 << 1,      /* it has a status page that answers while all workers are busy */
    HF_POOL_LISTENS = 1 << 2,     /* that page has a private socket for each generation */
    HF_POOL_WRITES_PATH = 1 << 3, /* the overlay sets status_path */
    HF_POOL_OURS = 1 << 4,        /* a private socket belongs to the main process's user */
    HF_POOL_GIVES = 1 << 5,       /* so does the pool's own socket, as the overlay gives it away */
} HfPoolProbe;

/* A group of workers with a socket of its own. */
typedef struct HfPlanPool {
    char *name;
    char *memory_limit; /* "" where the pool sets none */
    uint64_t workers;   /* at most */
    unsigned probe;     /* HfPoolProbe, ored */
    char *status_path;  /* of the status page; NULL: probes ask for no page */
    char *ping_path;    /* the pool's own, instead of HF_PLAN_PING; NULL: it has none */
    char *allowed; /* clients allowed over TCP, if this machine is one of them; NULL: everybody */
    bool closed;   /* nobody on this machine may connect over TCP */
    bool shows_environment; /* its scripts can read the service's environment */
    char *user;             /* of its workers, "" where the pool sets none; likewise: */
    char *group;
    char *chroot;
    bool on_demand; /* it keeps no idle workers */
    bool warms; /* a pool of our own with its user, group and chroot reads the opcode cache; one of
                   the pools that share those has it. Unless on_demand a process waits beside it,
                   see HfAdapter.keeper */
} HfPlanPool;

/* Everything that a generation is made of; shared by the generations made of it. All but the last
 * four members are plain data, and must also be listed in parts/survive/snapshot_fields.c. */
typedef struct HfPlan {
    unsigned references;
    const HfAdapter *adapter;
    const HfHandoff *handoff;
    char *program;    /* path of the executable */
    char **arguments; /* argv, except for the arguments that name an overlay */
    HfCredentials credentials;
    char **environment;    /* added to the service's environment; NULL: nothing */
    char *directory;       /* NULL: unchanged */
    HfReadiness readiness; /* resolved */
    uint64_t ready_delay;
    char *ready_text; /* only with HF_READINESS_LOG, else NULL */
    HfStdin standard_input;
    uint64_t watchdog; /* usec; HF_USEC_INFINITY: none */
    int stop_signal;
    HfKillMode kill_mode;
    int reopen_signal; /* 0: unknown */
    uint64_t drain_timeout;
    HfPlanned *wanted; /* n_wanted of them */
    size_t n_wanted;
    bool switches; /* all listeners have two sides, and the settings allow their use */

    /* what an overlay is made of */
    char *include;
    char *restated;    /* the whole configuration when the plan was made; NULL: not possible */
    unsigned failures; /* failed starts in a row. After an odd number the overlay is made from
                          restated, as the user's files may be broken by now. Not in snapshots */
    char *
        document_root; /* --document-root, or the directory, with links resolved; NULL: not known */
    char *pid_file;    /* named by the user's configuration, but written by holdfast. NULL: none */
    bool systemd_interval;
    bool unproven;     /* not checked yet, as a first start is the check itself. Not in snapshots */
    HfPlanPool *pools; /* n_pools of them */
    size_t n_pools;
    uint64_t peak_workers; /* of all pools */

    struct HfNames *names;         /* owned: looked-up names of the listeners; NULL: not yet */
    struct HfListener **listeners; /* a reference for each wanted one, once bound */
    size_t n_listeners;
    HfPlacement placement;
} HfPlan;

/* Do probes ask its pools for a page? */
static inline bool hf_plan_is_probed(const HfPlan *plan)
{
    return plan->n_pools > 0 && plan->pools[0].status_path;
}

/* Appends a copy of spec; ret may be NULL. Returns 0, -E2BIG or -ENOMEM. */
int hf_plan_want(HfPlan *plan, const HfListenerSpec *spec, HfPlanned **ret);

/* A run of the plan's program in the plan's environment, or of a function, in a child that may
 * block. */
typedef struct HfQuestion {
    char **arguments;                  /* argv; owned */
    HfText input;                      /* what it reads on descriptor 3; owned */
    void (*call)(int fd, void *input); /* instead of a program: writes to fd; NULL: none */
    size_t most;                       /* bytes of an answer */
} HfQuestion;

void hf_question_clear(HfQuestion *question);
#define HF_CLEANUP_QUESTION __attribute__((cleanup(hf_question_clear)))

typedef struct HfAnswer {
    bool timed_out;
    bool truncated;
    int signal;         /* that killed it, 0: it exited */
    int status;         /* its exit status */
    const char *output; /* stdout and stderr together, NUL-terminated */
    size_t length;
} HfAnswer;

typedef enum HfStep {
    HF_STEP_DONE,
    HF_STEP_ASK,  /* ask the question, and call again with the answer */
    HF_STEP_BIND, /* the listeners are known: bind them, and call again */
} HfStep;

/* A discovery in progress. Borrowed, except for what plan owns. */
typedef struct HfDiscovery {
    const HfSettings *settings;
    size_t first;        /* see hf_adapter_first_word */
    size_t program;      /* see hf_adapter_program_word */
    const char *base;    /* absolute: relative paths are resolved from it */
    const char *aliases; /* unix listeners get aliases below it; it need not exist */
    HfPlan *plan;
    unsigned step;    /* the adapter's own; 0 at first */
    unsigned attempt; /* the adapter's own; 0 at first */
    const char *note; /* for the log; NULL: none */
    HfText earlier;   /* owned: an answer, until another one has come */
} HfDiscovery;

/* How busy a pool is; counters run since its start. */
typedef struct HfScoreboard {
    uint64_t accepted;     /* requests begun */
    uint64_t queued;       /* waiting connections, as far as php-fpm knows */
    uint64_t idle;         /* workers */
    uint64_t active;       /* workers */
    uint64_t max_children; /* how often it reached its maximum of workers */
    uint64_t least;        /* requests of the least busy worker, if the page lists workers */
    uint64_t slow;         /* requests slower than the pool's limit */
    uint64_t memory_peak;  /* bytes, of the largest request; 0: PHP before 8.4 */
} HfScoreboard;

/* An opcode cache; memory in bytes. Wasted memory is that of scripts that have changed. */
typedef struct HfCacheFigures {
    uint64_t scripts;
    uint64_t keys;
    uint64_t keys_limit;
    uint64_t hits;
    uint64_t misses;
    uint64_t used;
    uint64_t free;
    uint64_t wasted;
    uint64_t full_restarts; /* how often it was emptied when full */
} HfCacheFigures;

typedef void (*HfRecentPage)(const char *uri, const char *script, void *userdata);

struct HfAdapter {
    const char *name;         /* of --adapter */
    const char *program;      /* how its program's base name begins; NULL: any */
    const HfHandoff *handoff; /* the default of --handoff */
    int stop_signal;          /* asks it to finish and leave */
    int reopen_signal;        /* has it reopen its logs; 0: unknown */
    bool fastcgi;             /* it speaks FastCGI */
    bool finds_listeners;     /* its own configuration names its listeners */
    bool leaks;   /* processes that its scripts start inherit its listeners: only those that run its
                     program belong to it */
    bool retires; /* gentle handover: its workers can be asked to leave while their master is
                     stopped (SIGSTOP) */
    bool needs_blocking; /* it treats O_NONBLOCK on a listener as an error */
    const char *keeper; /* how the title of its idle process begins that lists the opcode cache when
                           the main process has died; NULL: there is none */

    /* Does it support these settings? command starts with its program. Returns 0, or -EINVAL with
     * one line in error. NULL: all are supported. */
    int (*validate)(const HfSettings *settings, char *const *command, HfText *error);

    /* One step in finding out what the settings mean for the plan (arguments, readiness, wanted)
     * and whether its configuration is valid. answer: to the last question, else NULL. Returns an
     * HfStep, with ret filled in for HF_STEP_ASK, or negative errno with one or more lines in
     * error. */
    int (*discover)(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret, HfText *error);

    /* The question whether the configuration of a discovered plan is valid: yes if its exit status
     * is 0. Returns 0 or negative errno. NULL: only a start can tell. */
    int (*verdict)(const HfPlan *plan, HfQuestion *ret);

    /* Adds the overlay that a generation reads at its start to text. pid_file: for it to write;
     * statuses: where its private status pages listen, see hf_plan_status_socket; NULL: nowhere.
     * Returns 0 or negative errno. NULL: it reads no overlay and writes no pid file. */
    int (*overlay)(const HfPlan *plan, const char *pid_file, const char *statuses, HfText *text);
    const char *const *overlay_arguments; /* the overlay's path is appended to them */

    /* Extracts the part of its output that is meant for people; NULL: all of it. */
    void (*complain)(const char *output, size_t length, size_t max_lines, HfText *text);

    /* Parses a status page, which need not be NUL-terminated. Returns 0 or negative errno. NULL: it
     * has none. */
    int (*scoreboard)(const char *page, size_t length, HfScoreboard *ret);
    /* The same for the output of warm_script when asked for figures. */
    int (*cache)(const char *page, size_t length, HfCacheFigures *ret);

    /* Calls back for each page last requested with GET, as listed by a full status page. uri: valid
     * for hf_http_is_target; script: the complete path. NULL: not available. */
    void (*recent)(const char *page, size_t length, HfRecentPage callback, void *userdata);
    const char *warm_script; /* run at HfPlanPool.warms, see php_fpm/warm.c; NULL: none */

    /* Arguments with which it prints its memory limit after a key, and that key; NULL: none. */
    const char *const *limit_arguments;
    const char *limit_key;
};

extern const HfAdapter hf_adapter_php_fpm;
extern const HfAdapter hf_adapter_php_cgi;
extern const HfAdapter hf_adapter_generic;

/* All adapters, with NULL after the last; the last one accepts every program (table.c). */
extern const HfAdapter *const hf_adapters[];
extern const HfHandoff *const hf_handoffs[];

/* By name; NULL: there is none. */
const HfAdapter *hf_adapter_find(const char *name);
const HfHandoff *hf_handoff_find(const char *name);
/* The adapter for a path, base name or comm of a program. */
const HfAdapter *hf_adapter_of_program(const char *program);
/* The word of COMMAND that names its program, after those that only run it: `nice -n 5 php-fpm`.
 * Below it, the first word to be executed: helpers whose work holdfast does itself (`tini --`) are
 * left out. */
size_t hf_adapter_program_word(const HfSettings *settings);
size_t hf_adapter_first_word(const HfSettings *settings);

/* What settings that hf_adapter_validate has accepted say, or imply. */
const HfAdapter *hf_adapter_of(const HfSettings *settings);
const HfHandoff *hf_handoff_of(const HfSettings *settings);

/* Do the settings fit the adapter and handoff, which are looked up? For verbs with a COMMAND; other
 * verbs and --help always pass. Returns as hf_options_parse. */
int hf_adapter_validate(const HfCommandLine *line, HfText *error);

/* Reads the command line on top of the configuration file that it names, as that is now, and
 * validates them. Returns as hf_options_parse, or another negative errno with one line in error
 * when the file cannot be read. */
int hf_configuration_read(int argc, char *const *argv, HfCommandLine *ret, HfText *error);

/* The path of a pool's private status socket: STATUSES.POOL, by the pool's index. ret holds
 * HF_ADDRESS_TEXT_MAX bytes. */
void hf_plan_status_socket(const char *statuses, size_t pool, char *ret);
/* The same for the sockets of HfPlanPool.warms: STATUSES.wPOOL, or STATUSES.kPOOL for the process
 * that outlives the main one. */
void hf_plan_warm_socket(const char *statuses, size_t pool, bool left, char *ret);
/* The probe for a listener of plan at address, given probe from the settings; borrowed. */
HfProbe hf_plan_probe(const HfPlan *plan, size_t listener, const HfAddress *address,
                      const HfProbe *probe);
/* Does any pool have warms set? */
bool hf_plan_warms(const HfPlan *plan);
/* Does an idle process keep the cache of that pool, which warms, for when the main process has
 * died? Of many that are on demand it would cost more than it is worth. */
bool hf_plan_keeps(const HfPlan *plan, size_t pool);
/* Do both run as the same user and group, in the same root? */
bool hf_plan_pools_share(const HfPlanPool *a, const HfPlanPool *b);

/* HfAdapter.discover for programs that cannot be asked: listeners and arguments from the settings
 * alone. */
int hf_adapter_discover_settings(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret,
                                 HfText *error);
