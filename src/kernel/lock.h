/* SPDX-License-Identifier: MIT */
/* Files locked for as long as a process runs: flock(2). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Opens (creates) path and takes an exclusive flock(2). Returns the descriptor (owned; closing
 * unlocks), or -EWOULDBLOCK when another process holds the lock; *ret_holder is then the pid that
 * the file contains, 0 when unknown. Our own pid is written to the file only once we hold the lock.
 * -EINVAL when path is not a regular file, -ELOOP when it is a link, -EBUSY when it keeps being
 * replaced. */
int hf_lock_take(const char *path, pid_t *ret_holder);

/* Waits until nobody holds the lock, for a process with one thread. Returns 0 (somebody else may
 * take it first), -ETIMEDOUT, or another negative errno. */
int hf_lock_await(const char *path, int msec);

/* Is path still the file behind fd, as far as can be determined? If it has been removed or
 * replaced, its lock excludes nobody. */
bool hf_lock_is(const char *path, int fd);

/* Removes the lock file of an ended holder if others than its owner may open, and so lock it, as
 * that of holdfast 0.1.0. Returns 0, -EPERM when they may not, or another negative errno. */
int hf_lock_discard_open(const char *path);
