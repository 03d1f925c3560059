/* A socket that a generation of ours has bound by itself. php-fpm does where its configuration
 * names an address that its overlay does not know: a pool was added, and php-fpm has restarted
 * itself. */
#pragma once

#include "run/supervisor.h"

/* Copies the socket for spec out of such a generation, rather than to fight it for the address. Its
 * path stays the generation's until hf_own_listener_commit. Returns 0 and one reference, -ENOENT
 * when none of ours listens there, or negative errno. */
int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret);

/* The plan counts from now on: what it has of generations is its own, path and all. */
void hf_own_listener_commit(const HfSupervisor *supervisor, const HfPlan *plan);
