/* The systemd unit that a process belongs to, by its /proc/PID/cgroup. cgroups(7). */
#pragma once

#include <stddef.h>

#define HF_UNIT_MAX 256 /* bytes of a unit's name with its NUL, systemd.unit(5) */

/* text: the whole file; ret holds HF_UNIT_MAX bytes. The innermost .service of the hierarchy that
 * systemd keeps (the unified one, or name=systemd). Returns 0, or -ENOENT when there is none: the
 * process is of a session, a container's init, or not managed. */
int hf_unit_of_cgroup(const char *text, char *ret);
