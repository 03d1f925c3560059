/* The scoreboards of a php-fpm generation: sockets at which each pool tells how busy it is, also
 * while no worker is free. */
#pragma once

#include <sys/socket.h>

#include "run/plan.h"
#include "run/runtime.h"

/* Says where the sockets of generation number are to be and makes the place for them, if there are
 * to be any; else *ret stays as it is. php-fpm binds them. Returns 0 or negative errno. */
int hf_scoreboard_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number, char **ret);
/* php-fpm removes its sockets only when it leaves by itself. */
void hf_scoreboard_remove(const HfPlan *plan, const char *statuses);

/* statuses: NULL: there are none. Where a pool's scoreboard is, private or the user's own. Returns
 * 0, or -ENOENT when it has none.
 */
int hf_scoreboard_find(const HfPlan *plan, const char *statuses, size_t pool,
                       struct sockaddr_storage *ret, socklen_t *ret_length);
