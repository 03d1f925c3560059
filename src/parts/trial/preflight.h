/* What a plan must pass before it counts: the user's own test (--preflight), then a canary. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_trial;
