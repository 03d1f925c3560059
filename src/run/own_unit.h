/* The systemd unit whose main process we are. systemd.exec(5) SYSTEMD_EXEC_PID, cgroups(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Did systemd start this very process as a unit's main one? */
bool hf_own_unit_is_main(void);

/* The processes in the cgroup of that unit and in those right below it, ourselves among them.
 * Returns 0 and an owned array; it is empty when we are no main process, or in no cgroup of a
 * .service. Or negative errno. */
int hf_own_unit_processes(pid_t **ret, size_t *ret_n);

bool hf_own_unit_lists(const pid_t *pids, size_t n, pid_t pid);
