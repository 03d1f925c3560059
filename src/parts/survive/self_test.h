/* What a new holdfast does before it takes an older one's place: nothing but looking whether it
 * could. */
#pragma once

#include "config/settings.h"

/* Reads the snapshot that it was started with and prints HF_SELF_PASSED, or says on stderr what it
 * does not understand. Returns the exit status. */
int hf_selftest_run(const HfSettings *settings);
