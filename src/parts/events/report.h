/* What the machine decided, in words, once. */
#pragma once

#include "parts/events/events.h"

void hf_report(HfEvents *events, const HfAction *action);
