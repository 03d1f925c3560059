/* What holdfast tells the supervisor above it. sd_notify(3). */
#pragma once

#include "daemon/supervisor.h"

void hf_tell(HfSupervisor *supervisor, const HfAction *action);
