/* Performs the machine's PROBE: asks the active generation whether it is healthy, one probe at a
 * time, and finds out of a php-fpm that does not answer whether it is only busy. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_probe;
