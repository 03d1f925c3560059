/* SPDX-License-Identifier: MIT */
/* One executor per action. A failure becomes an event. */
#pragma once

#include "run/supervisor.h"

/* The callbacks for generations of supervisor. Valid until the next call. */
const HfGenerationCallbacks *hf_actions_callbacks(HfSupervisor *supervisor);

void hf_actions_perform(HfSupervisor *supervisor, const HfAction *action);

/* Checks that connections can go to a generation that is ready or has passed its trial; if not,
 * turns event into its failure. */
void hf_actions_confirm(HfSupervisor *supervisor, HfEvent *event);
