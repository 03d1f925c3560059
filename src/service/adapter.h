/* SPDX-License-Identifier: MIT */
/* What holdfast must know of a kind of server, and of one service of that kind. A new kind is one
 * object of type HfAdapter, in a file of its own, and its line in table.c. An adapter starts
 * nothing and waits for nothing: it gives questions and takes answers, and others put them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "config/options.h"
#include "kernel/credentials.h"
#include "service/handoff.h"

typedef struct HfAdapter HfAdapter;

#define HF_PLAN_PING "/ping" /* the page that php-fpm itself answers, which probes ask for */

/* How a pool is probed. The numbers stand in snapshots. */
typedef enum HfPoolProbe {
    HF_POOL_PINGS = 1 << 0,       /* the overlay sets the ping page */
    HF_POOL_COUNTS = 1 << 1,      /* it has a scoreboard that answers while all workers are busy */
    HF_POOL_LISTENS = 1 << 2,     /* that one is private, each generation's own, not the user's */
    HF_POOL_WRITES_PATH = 1 << 3, /* the overlay sets status_path */
    HF_POOL_OURS = 1 << 4,        /* a private one belongs to the user of the main process */
    HF_POOL_GIVES = 1 << 5,       /* which the overlay sees to: the pool gives its sockets away */
} HfPoolProbe;

/* A group of workers with a socket of its own. */
typedef struct HfPlanPool {
    char *name;
    char *memory_limit; /* "" where the pool sets none */
    uint64_t workers;   /* at most */
    unsigned probe;     /* HfPoolProbe, ored */
    char *status_path;  /* of the scoreboard's page; NULL: no page is asked for again and again */
    char *ping_path;    /* its own in place of HF_PLAN_PING; NULL: it has none */
    char *allowed;      /* who may connect over TCP, where that is this machine, among others; NULL:
                           everybody */
    bool closed;        /* over TCP nobody from this machine may connect */
    bool shows_environment; /* its scripts see the service's environment */
    char *user;             /* of its workers, "" where the pool sets none; likewise: */
    char *group;
    char *chroot;
    bool on_demand; /* it keeps no worker that has nothing to do */
    bool warms;     /* a pool of holdfast's own stands beside it, with its user, group and chroot,
                       to look at the opcode cache; one pool of those that share them has it */
} HfPlanPool;

/* Everything that a generation is made of; shared by the generations that were made of it. All but
 * the last four is plain data, and belongs into parts/survive/snapshot_fields.c as well. */
typedef struct HfPlan {
    unsigned references;
    const HfAdapter *adapter;
    const HfHandoff *handoff;
    char *program;    /* path of the executable */
    char **arguments; /* argv, without those that name an overlay */
    HfCredentials credentials;
    char **environment;    /* of the service beside holdfast's own; NULL: none */
    char *directory;       /* NULL: as it is */
    HfReadiness readiness; /* resolved */
    uint64_t ready_delay;
    char *ready_text; /* NULL but for HF_READINESS_LOG */
    HfStdin standard_input;
    uint64_t watchdog; /* usec; HF_USEC_INFINITY: none */
    int stop_signal;
    HfKillMode kill_mode;
    int reopen_signal; /* 0: none is known */
    uint64_t drain_timeout;
    HfPlanned *wanted; /* n_wanted of them */
    size_t n_wanted;
    bool switches; /* each listener has two sides, and the settings let them be used */

    /* what an overlay is made of */
    char *include;
    char *restated; /* the whole configuration as it was when the plan was made; NULL: cannot be */
    unsigned failures;   /* starts in a row that came to nothing. After an odd number the overlay is
                            made of restated: the user's files may be broken by now. Not kept. */
    char *document_root; /* what --document-root, or the directory, was once links were followed;
                            NULL: not known */
    char *pid_file;      /* that the user's configuration names; holdfast owns it. NULL: none */
    bool systemd_interval;
    bool unproven;     /* it was not asked for its verdict: a first start is that. Not kept */
    HfPlanPool *pools; /* n_pools of them */
    size_t n_pools;
    uint64_t peak_workers; /* of all pools */

    struct HfNames *names;         /* owned: what the listeners' are called; NULL: not looked up */
    struct HfListener **listeners; /* references, one for each wanted, once bound */
    size_t n_listeners;
    HfPlacement placement;
} HfPlan;

/* Are its pools asked for a page again and again? */
static inline bool hf_plan_is_probed(const HfPlan *plan)
{
    return plan->n_pools > 0 && plan->pools[0].status_path;
}

/* Appends a copy of spec; ret may be NULL. Returns 0, -E2BIG or -ENOMEM. */
int hf_plan_want(HfPlan *plan, const HfListenerSpec *spec, HfPlanned **ret);

/* A run of the plan's program, as the plan says; or of a function, in a child that may block. */
typedef struct HfQuestion {
    char **arguments;                  /* argv; owned */
    HfText input;                      /* what it finds on descriptor 3; owned */
    void (*call)(int fd, void *input); /* in place of a program: answers on fd; NULL: none */
    size_t most;                       /* bytes of an answer */
} HfQuestion;

void hf_question_clear(HfQuestion *question);
#define HF_CLEANUP_QUESTION __attribute__((cleanup(hf_question_clear)))

typedef struct HfAnswer {
    bool timed_out;
    bool truncated;
    int signal;         /* that it died of, 0: it exited */
    int status;         /* with which it exited */
    const char *output; /* stdout and stderr together, NUL-terminated */
    size_t length;
} HfAnswer;

typedef enum HfStep {
    HF_STEP_DONE,
    HF_STEP_ASK,  /* put the question, and come back with the answer */
    HF_STEP_BIND, /* the listeners are known: bind them, and come back */
} HfStep;

/* A plan that is being found out. Borrowed, but for what plan owns. */
typedef struct HfDiscovery {
    const HfSettings *settings;
    size_t first;        /* see hf_adapter_first_word */
    size_t program;      /* see hf_adapter_program_word */
    const char *base;    /* absolute: what relative paths are relative to */
    const char *aliases; /* below it unix listeners get aliases; need not exist */
    HfPlan *plan;
    unsigned step;    /* the adapter's own; 0 at first */
    unsigned attempt; /* likewise */
    const char *note; /* for the log; NULL: none */
    HfText kept;      /* owned: an answer that waits for another one */
} HfDiscovery;

/* How busy a pool is, as it counts since it started. */
typedef struct HfScoreboard {
    uint64_t accepted;     /* requests that were begun */
    uint64_t queued;       /* connections that wait, as far as it knows */
    uint64_t idle;         /* workers */
    uint64_t active;       /* workers */
    uint64_t max_children; /* how often it had as many workers as it may */
    uint64_t least; /* requests of the worker that had the fewest, where the page shows each */
    uint64_t slow;  /* requests that took longer than the pool allows */
    uint64_t memory_peak; /* bytes, of the request that took most; 0: PHP before 8.4 */
} HfScoreboard;

/* An opcode cache. The memory is in bytes, what is wasted is that of scripts that have changed. */
typedef struct HfCacheFigures {
    uint64_t scripts;
    uint64_t keys;
    uint64_t keys_limit;
    uint64_t hits;
    uint64_t misses;
    uint64_t used;
    uint64_t free;
    uint64_t wasted;
    uint64_t full_restarts; /* how often it was emptied because it was full */
} HfCacheFigures;

typedef void (*HfRecentPage)(const char *uri, const char *script, void *userdata);

struct HfAdapter {
    const char *name;         /* of --adapter */
    const char *program;      /* how the base name of its program begins; NULL: any */
    const HfHandoff *handoff; /* unless --handoff says another */
    int stop_signal;          /* that asks it to finish and leave */
    int reopen_signal;        /* that has it open its logs anew; 0: none is known */
    bool fastcgi;             /* it speaks FastCGI */
    bool finds_listeners;     /* its own configuration says where it listens */
    bool leaks;               /* what its scripts start has its listeners, too, and is none of its:
                                 whoever runs its program belongs to it */
    bool retires; /* its workers may be asked to leave while their master is stopped (SIGSTOP):
                     gentle handover */
    bool needs_blocking; /* it takes O_NONBLOCK on a listener for an error */

    /* Does it go with these settings? command: of which the first word is its program. Returns 0,
     * or -EINVAL with one line in error. NULL: yes. */
    int (*validate)(const HfSettings *settings, char *const *command, HfText *error);

    /* One step of finding out what the settings mean for the plan: arguments, readiness, wanted,
     * and whether it accepts its configuration. answer: to the last question, else NULL. Returns an
     * HfStep, with ret filled for HF_STEP_ASK, or negative errno with one or more lines in error.
     */
    int (*discover)(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret, HfText *error);

    /* Does it accept the configuration of a plan that was found out? Fills ret with the question,
     * which an exit status of 0 answers. Returns 0 or negative errno. NULL: it says so only when it
     * is started. */
    int (*verdict)(const HfPlan *plan, HfQuestion *ret);

    /* What a generation reads at its start: adds to text. pid_file: that it is to write; statuses:
     * where its private scoreboards are to listen, see hf_plan_status_socket, NULL: nowhere.
     * Returns 0 or negative errno. NULL: it reads nothing, and writes no pid file. */
    int (*overlay)(const HfPlan *plan, const char *pid_file, const char *statuses, HfText *text);
    const char *const *overlay_arguments; /* to which the path of the overlay is appended */

    /* Of what it printed, what is meant for people; NULL: all. */
    void (*complain)(const char *output, size_t length, size_t max_lines, HfText *text);

    /* The page of a scoreboard, which need not be NUL-terminated. Returns 0 or negative errno.
     * NULL: it has none. */
    int (*scoreboard)(const char *page, size_t length, HfScoreboard *ret);
    /* The same of what warm_script prints when it is asked for figures. */
    int (*cache)(const char *page, size_t length, HfCacheFigures *ret);

    /* Of a page of a scoreboard that shows each worker: calls back for each page that was asked for
     * last with GET. uri: as hf_http_is_target takes it; script: the whole path. NULL: there is
     * none. */
    void (*recent)(const char *page, size_t length, HfRecentPage callback, void *userdata);
    const char *warm_script; /* that HfPlanPool.warms runs; see php_fpm/warm.c. NULL: none */

    /* Arguments with which it prints its memory limit behind a key, and that key; NULL: none. */
    const char *const *limit_arguments;
    const char *limit_key;
};

extern const HfAdapter hf_adapter_php_fpm;
extern const HfAdapter hf_adapter_php_cgi;
extern const HfAdapter hf_adapter_generic;

/* All of them, NULL behind the last; the last one takes every program (table.c). */
extern const HfAdapter *const hf_adapters[];
extern const HfHandoff *const hf_handoffs[];

/* By name; NULL: there is none. */
const HfAdapter *hf_adapter_find(const char *name);
const HfHandoff *hf_handoff_find(const char *name);
/* By the path, base name or comm of a program. */
const HfAdapter *hf_adapter_of_program(const char *program);
/* The word of COMMAND that names its program, behind those that only run it: `nice -n 5 php-fpm`.
 * Below it the first one that is run: what holdfast does itself, `tini --`, is left out. */
size_t hf_adapter_program_word(const HfSettings *settings);
size_t hf_adapter_first_word(const HfSettings *settings);

/* What settings that hf_adapter_validate has let pass say, or mean. */
const HfAdapter *hf_adapter_of(const HfSettings *settings);
const HfHandoff *hf_handoff_of(const HfSettings *settings);

/* Do the settings agree with the adapter and the handoff, which are looked up? For the verbs that
 * have a COMMAND; others, and --help, pass. Returns as hf_options_parse. */
int hf_adapter_validate(const HfCommandLine *line, HfText *error);

/* Is this environment entry ("NAME=value") of any handoff or of sd_notify(3), to be scrubbed before
 * a service is started? */
bool hf_handoff_is_foreign(const char *entry);

/* The path of a pool's private scoreboard: STATUSES.POOL, by the pool's index. ret holds
 * HF_ADDRESS_TEXT_MAX bytes. */
void hf_plan_status_socket(const char *statuses, size_t pool, char *ret);
/* The same of what HfPlanPool.warms stands for: STATUSES.wPOOL. */
void hf_plan_warm_socket(const char *statuses, size_t pool, char *ret);
/* What a listener of plan is asked at address where probe is what the settings say; borrowed. */
HfProbe hf_plan_probe(const HfPlan *plan, size_t listener, const HfAddress *address,
                      const HfProbe *probe);
/* Is there one? */
bool hf_plan_warms(const HfPlan *plan);
/* Do they run as the same user and group, in the same root? */
bool hf_plan_pools_share(const HfPlanPool *a, const HfPlanPool *b);

/* What settings alone say of the listeners and the arguments: HfAdapter.discover of those that
 * cannot be asked. */
int hf_adapter_discover_settings(HfDiscovery *discovery, const HfAnswer *answer, HfQuestion *ret,
                                 HfText *error);
