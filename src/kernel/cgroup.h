/* SPDX-License-Identifier: MIT */
/* Control groups as directories, v2 only: made, entered, emptied, removed. Never a controller is
 * enabled. cgroups(7). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Was this directory handed over to us: of the v2 hierarchy, writable, and marked by systemd's
 * Delegate= (extended attribute user.delegate or trusted.delegate, "1")? */
bool hf_cgroup_is_delegated(const char *directory);

/* Makes a cgroup. Returns an owned descriptor of its cgroup.procs, for HfSpawn, or negative errno
 * (-EEXIST). */
int hf_cgroup_make(const char *directory);

/* Removes a cgroup and those below it, at most 8 levels; 0 when there is none. -EBUSY while a
 * process is in one of them. */
int hf_cgroup_remove(const char *directory);

/* Moves every process of a cgroup and of those below it into another. Best effort. */
void hf_cgroup_empty(const char *directory, const char *into);

/* Waits until no process is in a cgroup or below it, at most so many ms: the kernel lets go of a
 * process a moment after its end was told. */
void hf_cgroup_await_empty(const char *directory, int msec);

/* Is pid in the cgroup path (as /proc/PID/cgroup shows it) of the hierarchy that systemd keeps, v2
 * or name=systemd, or below it? Negative errno when it cannot be looked at; gone is not there. */
int hf_cgroup_holds(const char *path, pid_t pid);
