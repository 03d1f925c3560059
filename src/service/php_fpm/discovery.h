/* Asks php-fpm for its pools (-tt) and, once they are bound, its verdict (-t). */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

#include "run/plan.h"
#include "run/reaper.h"
#include "service/php_fpm/php_fpm.h"

typedef struct HfDiscovery HfDiscovery;

typedef struct HfDiscoveryQuestion {
    sd_event *loop;
    HfReaper *reaper;
    const char *program;   /* path of php-fpm */
    const char *directory; /* NULL: as it is */
    const char *base;      /* absolute: what a relative -y is relative to */
    const char *aliases;   /* below it unix listeners get their aliases; need not exist */
    const char *page;      /* that probes ask for, NULL: none */
    const HfPhpfpmArguments *arguments; /* borrowed until the call back */
    HfPlanBinder bind; /* called between the two questions, so that what cannot be bound leaves no
                          trace of -t; or NULL */
    void *binder;      /* its userdata */
    uint64_t timeout;  /* usec, of each run of php-fpm */
} HfDiscoveryQuestion;

/* result 0: plan (borrowed) has wanted, include, pid_file and the rest of what php-fpm told. Else
 * negative errno, and error says in one or more lines what is wrong, php-fpm's own words included.
 * The discovery has been freed. */
typedef void (*HfDiscoveryCallback)(int result, const char *error, void *userdata);

/* Fills plan, which stays borrowed until the call back or hf_discovery_abort. */
int hf_discovery_start(const HfDiscoveryQuestion *question, HfPlan *plan,
                       HfDiscoveryCallback callback, void *userdata, HfDiscovery **ret);
HfDiscovery *hf_discovery_abort(HfDiscovery *discovery);
