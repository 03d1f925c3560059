/* SPDX-License-Identifier: MIT */
/* What the kernel says about control groups: where a hierarchy is mounted, the directory and unit
 * of a process, counters. cgroups(7), proc(5), Documentation/admin-guide/cgroup-v2.rst. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define HF_CGROUP_TEXT_MAX ((size_t)1024 * 1024) /* bytes read at most of any of these files */

/* The cgroup of a process: cgroup is its /proc/PID/cgroup; controller names a v1 hierarchy, NULL
 * means v2. The result points into cgroup and is not NUL-terminated. Returns 0, or -ENOENT when the
 * process is in no such hierarchy. */
int hf_cgroup_path(const char *cgroup, const char *controller, const char **ret,
                   size_t *ret_length);

/* Appends the directory of that cgroup, found by where mountinfo (/proc/PID/mountinfo of the same
 * process) shows the hierarchy or, for a bind mount or a container, a part of it. Returns 0, or
 * -ENOENT when no mount shows that cgroup. */
int hf_cgroup_directory(const char *mountinfo, const char *cgroup, const char *controller,
                        HfText *text);

/* The number that follows key in a flat keyed file ("KEY NUMBER" on each line) such as
 * memory.events. Returns 0, -ENOENT, or -EINVAL if it is not a number. */
int hf_cgroup_counter(const char *file, const char *key, uint64_t *ret);

#define HF_UNIT_MAX 256 /* bytes of a unit's name with its NUL, systemd.unit(5) */

/* The systemd unit of a process: the innermost .service in the hierarchy that systemd manages (the
 * unified one, or name=systemd). text: its /proc/PID/cgroup; ret holds HF_UNIT_MAX bytes. Returns
 * 0, or -ENOENT when there is none: the process belongs to a session, is a container's init, or is
 * not managed. */
int hf_unit_of_cgroup(const char *text, char *ret);
