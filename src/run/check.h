/* `holdfast check`: what run would do, and what would stop it. Binds nothing. */
#pragma once

#include "run/part.h"

/* Prints the report. Returns the exit status: success only when there is no problem. */
int hf_check(const HfCommandLine *line, const HfPart *const *parts);
