/* SPDX-License-Identifier: MIT */
/* What outlives every generation: looked for at the very end, asked to leave, then killed. */
#pragma once

#include "run/supervisor.h"

/* Ends what still holds a listener, or with kill_mode all, or as process 1, every descendant: TERM,
 * then KILL, as process_set.h says. Then hf_supervisor_exit. */
void hf_final_kill_end(HfSupervisor *supervisor, int status);
/* Another stop signal: KILL at once. NULL is fine. */
void hf_final_kill_hurry(HfFinalKill *left);
HfFinalKill *hf_final_kill_free(HfFinalKill *left);
