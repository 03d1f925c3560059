/* SPDX-License-Identifier: MIT */
/* One executor an action. A failure becomes an event. */
#pragma once

#include "run/supervisor.h"

/* What a generation of supervisor calls. Valid until the next call. */
const HfGenerationCallbacks *hf_actions_callbacks(HfSupervisor *supervisor);

void hf_actions_perform(HfSupervisor *supervisor, const HfAction *action);
