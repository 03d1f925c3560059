/* Private sockets that take the places of a plan's listeners for a canary. */
#pragma once

#include "run/plan.h"

typedef struct HfStandIns {
    HfListener **listeners; /* in the plan's order; owned */
    size_t n;
    const HfAddress **addresses; /* of those that serve requests: not pm.status_listen's */
    const char **labels;         /* whose places they take; borrowed from the plan */
    size_t n_serving;
} HfStandIns;

/* Binds one unix socket for each listener of a bound plan, DIRECTORY/canary.N, which only our own
 * user may connect to. Returns 0, or negative errno; ret is to be cleared after both. */
int hf_standins_bind(const HfPlan *plan, const char *directory, HfStandIns *ret, HfText *error);
/* Closes and unlinks them. Takes a zeroed one, too. */
void hf_standins_clear(HfStandIns *standins);
