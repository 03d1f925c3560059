/* One executor an action. A failure becomes an event. */
#pragma once

#include "daemon/supervisor.h"

void hf_perform(HfSupervisor *supervisor, const HfAction *action);
