/* The scoreboards of a php-fpm generation: sockets at which each pool tells how busy it is, also
 * while no worker is free. */
#pragma once

#include <sys/socket.h>

#include "run/generation.h"

/* Sets generation->statuses and makes the place for the sockets, if there are to be any. php-fpm
 * binds them. Returns 0 or negative errno. */
int hf_scoreboard_make(HfGeneration *generation, const HfRuntime *runtime);
/* php-fpm removes its sockets only when it leaves by itself. */
void hf_scoreboard_remove(HfGeneration *generation);

/* Where a pool's scoreboard is, private or the user's own. Returns 0, or -ENOENT when it has none.
 */
int hf_scoreboard_find(const HfGeneration *generation, size_t pool, struct sockaddr_storage *ret,
                       socklen_t *ret_length);
