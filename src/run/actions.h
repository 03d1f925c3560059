/* SPDX-License-Identifier: MIT */
/* One executor an action. A failure becomes an event. */
#pragma once

#include "run/supervisor.h"

/* What a generation of supervisor calls. Valid until the next call. */
const HfGenerationCallbacks *hf_actions_callbacks(HfSupervisor *supervisor);

void hf_actions_perform(HfSupervisor *supervisor, const HfAction *action);

/* Of a generation that is ready, or has passed its trial: can connections go to it? Otherwise event
 * is made one that says so. */
void hf_actions_confirm(HfSupervisor *supervisor, HfEvent *event);
