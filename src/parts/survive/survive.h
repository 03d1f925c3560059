/* Outlives a crash (systemd's fd store, adoption) and an upgrade of holdfast itself. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_survive;
