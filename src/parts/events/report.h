/* What the machine decided, in words, once. */
#pragma once

#include "run/supervisor.h"

void hf_report(HfSupervisor *supervisor, const HfAction *action);
