/* The systemd unit whose main process we are. systemd.exec(5) SYSTEMD_EXEC_PID, cgroups(7). */
#pragma once

#include <stdbool.h>

/* Did systemd start this very process as a unit's main one? */
bool hf_own_unit_is_main(void);

/* The cgroup of that unit, see hf_cgroup_holds. Returns 0 and an owned path, or NULL when we are no
 * main process, or in no cgroup of a .service. Or negative errno. */
int hf_own_unit_cgroup(char **ret);
