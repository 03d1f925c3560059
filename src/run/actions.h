/* One executor an action. A failure becomes an event. */
#pragma once

#include "run/supervisor.h"

/* What a generation of supervisor calls. Valid until the next call. */
const HfGenerationCallbacks *hf_actions_callbacks(HfSupervisor *supervisor);

/* For a part that has said in unprepared that it sees to it. */
void hf_actions_prepare_again(HfSupervisor *supervisor, HfCause cause);

void hf_actions_perform(HfSupervisor *supervisor, const HfAction *action);
