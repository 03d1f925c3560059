/* SPDX-License-Identifier: MIT */
/* The verb run: sets an instance up, turns events into steps, and takes it down again. */
#pragma once

#include "run/part.h"

/* Runs until the end. parts: NULL after the last. Returns the exit status. */
int hf_run(const HfCommandLine *line, const HfPart *const *parts);
