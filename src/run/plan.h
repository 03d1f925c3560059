/* Everything that a generation is made of; shared by the generations that were made of it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/settings.h"
#include "kernel/credentials.h"
#include "run/listener.h"
#include "service/handoff.h"
#include "service/php_fpm/php_fpm.h"

/* One socket that the plan wants. */
typedef struct HfPlanned {
    HfListenerSpec spec;
    size_t pool; /* php-fpm: index into pools */
    bool status; /* php-fpm: pm.status_listen, not listen */
    char *alias; /* php-fpm: what the overlay calls it, NULL: its own address. Owned. */
} HfPlanned;

/* How a pool of php-fpm is probed. */
typedef struct HfPlanPool {
    bool pings;        /* the overlay sets ping.path */
    bool counts;       /* it has a scoreboard that answers while all workers are busy */
    bool listens;      /* that one is private, each generation's own, not the user's */
    char *status_path; /* pm.status_path, the user's or, with writes_path, the overlay's */
    bool writes_path;
} HfPlanPool;

/* What is added here belongs into a snapshot as well: parts/survive/snapshot.h, continuity_*.c. */
typedef struct HfPlan {
    unsigned references;
    HfAdapter adapter; /* resolved */
    HfHandoff handoff; /* resolved */
    char *program;     /* path of the executable */
    char **arguments;  /* argv; php-fpm: without -F and -y OVERLAY, which each generation adds */
    HfCredentials credentials;
    char **environment;    /* of the service beside holdfast's own; NULL: none */
    char *directory;       /* NULL: as it is */
    HfReadiness readiness; /* resolved */
    uint64_t ready_delay;
    char *ready_text; /* NULL but for HF_READINESS_LOG */
    int stop_signal;
    HfKillMode kill_mode;
    int reopen_signal; /* 0: none is known */
    uint64_t drain_timeout;
    HfPlanned *wanted; /* n_wanted of them */
    size_t n_wanted;
    HfListener **listeners; /* references, one for each wanted, once bound */
    size_t n_listeners;
    HfPlacement placement;

    /* php-fpm */
    char *include;  /* of the overlay */
    char *pid_file; /* that the user's configuration names; holdfast owns it. NULL: none */
    bool systemd_interval;
    char **pools;          /* names, NULL-terminated */
    uint64_t peak_workers; /* sum of pm.max_children */
    char **memory_limits;  /* of each pool, "" where the pool sets none */
    uint64_t *workers;     /* pm.max_children of each pool */
    HfPlanPool *probed;    /* each pool, NULL: no page is asked for again and again */
} HfPlan;

#define HF_PLAN_PING "/ping" /* what php-fpm itself answers when probes ask for it */

int hf_plan_new(HfPlan **ret);
HfPlan *hf_plan_ref(HfPlan *plan);
HfPlan *hf_plan_unref(HfPlan *plan);

/* Makes the listeners of a plan whose wanted ones are known, or only looks whether they could be
 * made. Returns 0, or negative errno with one line in error. */
typedef int (*HfPlanBinder)(HfPlan *plan, HfText *error, void *userdata);

/* Appends a copy of spec; ret may be NULL. Returns 0, -E2BIG or -ENOMEM. */
int hf_plan_want(HfPlan *plan, const HfListenerSpec *spec, HfPlanned **ret);

/* Fills listeners: each wanted one from those among held, else newly bound; then the placement.
 * Those held stay as they are. Returns 0, or negative errno with one line in error; what was newly
 * bound is closed with the plan. */
int hf_plan_bind(HfPlan *plan, HfListener *const *held, size_t n_held, bool raised, HfText *error);

/* The plan counts from now on: gives the listeners that were held before the names, backlogs and
 * rights that it wants. What cannot be changed is logged and stays. */
void hf_plan_apply(HfPlan *plan, bool raised);

/* Makes the placement, from the bound addresses, or, before hf_plan_bind, from the wanted ones.
 * Returns 0 or negative errno with one line in error. */
int hf_plan_place(HfPlan *plan, HfText *error);

/* The overlay of one generation. pid_file: its own; statuses: where its private scoreboards listen,
 * see hf_plan_status_socket, NULL: nowhere. Returns 0 or negative errno. */
int hf_plan_overlay(const HfPlan *plan, const char *pid_file, const char *statuses, HfText *text);

/* The path of a pool's private scoreboard: STATUSES.POOL, by the pool's index. ret holds
 * HF_ADDRESS_TEXT_MAX bytes. */
void hf_plan_status_socket(const char *statuses, size_t pool, char *ret);
