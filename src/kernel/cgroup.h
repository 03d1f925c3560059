/* SPDX-License-Identifier: MIT */
/* Control groups as directories, v2 only: created, entered, emptied, removed. Controllers are never
 * enabled. cgroups(7). */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Has this directory been delegated to us: is it on the v2 hierarchy, writable, and marked by
 * systemd's Delegate= (extended attribute user.delegate or trusted.delegate, "1")? */
bool hf_cgroup_is_delegated(const char *directory);

/* Creates a cgroup. Returns an owned descriptor of its cgroup.procs, for HfSpawn, or negative errno
 * (-EEXIST). */
int hf_cgroup_make(const char *directory);

/* Removes a cgroup and those below it, at most 8 levels. Returns 0, also when there is none, or
 * -EBUSY while a process is in one of them. */
int hf_cgroup_remove(const char *directory);

/* Moves every process in a cgroup and below it to another one. Best effort. */
void hf_cgroup_empty(const char *directory, const char *into);

/* Waits, at most msec, until no process is in a cgroup or below it: the kernel removes a process
 * from its cgroup a moment after it has reported its end. */
void hf_cgroup_await_empty(const char *directory, int msec);

/* Is pid in the cgroup path (as /proc/PID/cgroup shows it) of the hierarchy that systemd manages,
 * v2 or name=systemd, or below it? False if the process is gone; negative errno when it cannot be
 * examined. */
int hf_cgroup_holds(const char *path, pid_t pid);
