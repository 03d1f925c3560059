/* The verbs that neither run an instance nor ask one: `holdfast check` prints what run would do and
 * binds nothing; `holdfast exec`. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_verbs;
