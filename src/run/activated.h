/* Sockets that systemd passed (LISTEN_FDS, sd_listen_fds(3)). */
#pragma once

#include "base/text.h"
#include "run/listener.h"
#include "run/notes.h"
#include "run/plan.h"
#include "run/supervisor.h"

/* Takes them all, and the variables out of the environment; those of the fd store become notes.
 * None is fine. Returns 0, or negative errno with one line in error. */
int hf_activated_take(HfListener ***ret, size_t *ret_n, HfNotes *notes, HfText *error);

/* A service that says nowhere itself where it listens listens at all that was passed. Returns 0,
 * -E2BIG or -ENOMEM. */
int hf_activated_want(HfListener *const *received, size_t n, HfPlan *plan);

/* Every received one must be used by plan. Returns 0, or -EADDRNOTAVAIL with one line in error that
 * names the first that is not. */
int hf_activated_check(HfListener *const *received, size_t n, const HfPlan *plan, HfText *error);

/* ---- bound by a generation of ours ---- */

/* A socket that a generation of ours has bound by itself. php-fpm does where its configuration
 * names an address that its overlay does not know: a pool was added, and php-fpm has restarted
 * itself. */

/* Copies the socket for spec out of such a generation, rather than to fight it for the address. Its
 * path stays the generation's until hf_own_listener_commit. Returns 0 and one reference, -ENOENT
 * when none of ours listens there, or negative errno. */
int hf_own_listener_copy(const HfSupervisor *supervisor, const HfListenerSpec *spec,
                         HfListener **ret);

/* The plan counts from now on: what it has of generations is its own, path and all. */
void hf_own_listener_commit(const HfSupervisor *supervisor, const HfPlan *plan);
