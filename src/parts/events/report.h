/* What the machine decided, in words, once. */
#pragma once

#include "parts/events/notices.h"
#include "run/supervisor.h"

void hf_report(const HfSupervisor *supervisor, HfNotices *notices, const HfAction *action);
