/* SPDX-License-Identifier: MIT */
/* What the kernel tells of control groups in text: where a hierarchy is mounted, which directory in
 * it is a process's own, which unit that is of, counters. cgroups(7), proc(5),
 * Documentation/admin-guide/cgroup-v2.rst. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define HF_CGROUP_TEXT_MAX ((size_t)1024 * 1024) /* bytes that are read of any of these files */

/* The cgroup of a process: cgroup is its /proc/PID/cgroup; controller names a v1 hierarchy, NULL
 * the v2 one. The result, into cgroup, is not terminated. Returns 0, or -ENOENT when the process is
 * in no such hierarchy. */
int hf_cgroup_path(const char *cgroup, const char *controller, const char **ret,
                   size_t *ret_length);

/* Appends the directory of that cgroup: where mountinfo (/proc/PID/mountinfo of the same process)
 * shows the hierarchy, or the part of it that a bind mount or a container has. Returns 0, or
 * -ENOENT when no mount shows that cgroup. */
int hf_cgroup_directory(const char *mountinfo, const char *cgroup, const char *controller,
                        HfText *text);

/* The number behind key in a flat keyed file ("KEY NUMBER" a line), as memory.events. Returns 0,
 * -ENOENT, or -EINVAL when what is there is no number. */
int hf_cgroup_counter(const char *file, const char *key, uint64_t *ret);

#define HF_UNIT_MAX 256 /* bytes of a unit's name with its NUL, systemd.unit(5) */

/* The systemd unit that a process belongs to. text: its /proc/PID/cgroup; ret holds HF_UNIT_MAX
 * bytes. The innermost .service of the hierarchy that systemd keeps (the unified one, or
 * name=systemd). Returns 0, or -ENOENT when there is none: the process is of a session, a
 * container's init, or not managed. */
int hf_unit_of_cgroup(const char *text, char *ret);
