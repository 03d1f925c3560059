/* SPDX-License-Identifier: MIT */
/* Files that are locked for as long as a process runs: flock(2). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Opens (creates) path and takes an exclusive flock(2). Returns the descriptor (owned; closing
 * unlocks), or -EWOULDBLOCK when another process holds it; *ret_holder then is the pid that stands
 * in the file, 0 when unknown. The own pid is written to the file only once the lock is held.
 * -EINVAL when path is not a regular file, -ELOOP when it is a link, -EBUSY when it is being
 * replaced again and again. */
int hf_lock_take(const char *path, pid_t *ret_holder);

/* Waits until nobody holds that lock, for a process with one thread. Returns 0 then (another may
 * have been faster), -ETIMEDOUT, or another negative errno. */
int hf_lock_await(const char *path, int msec);

/* Is path still the file behind fd, as far as can be told, or has that been removed or replaced?
 * Its lock would then exclude nobody. */
bool hf_lock_is(const char *path, int fd);

/* Removes the file when others than its owner may open, and so lock it, as that of holdfast 0.1.0;
 * -EPERM when they may not. For a holder that has ended. Returns 0 or negative errno. */
int hf_lock_discard_open(const char *path);
