/* One executor an action. A failure becomes an event. */
#pragma once

#include "daemon/supervisor.h"

/* What a generation of supervisor calls. Valid until the next call. */
const HfGenerationCallbacks *hf_perform_callbacks(HfSupervisor *supervisor);

void hf_perform(HfSupervisor *supervisor, const HfAction *action);
