/* SPDX-License-Identifier: MIT */
/* Processes that outlive every generation: found at the very end, asked to leave, then killed. */
#pragma once

#include "run/supervisor.h"

/* Ends the remaining holders of a listener or, with kill_mode all or as process 1, all descendants:
 * TERM, then KILL, see process_set.h. Then calls hf_supervisor_exit. */
void hf_final_kill_end(HfSupervisor *supervisor, int status);
/* Another stop signal came: KILL at once. NULL is accepted. */
void hf_final_kill_escalate(HfFinalKill *left);
HfFinalKill *hf_final_kill_free(HfFinalKill *left);
