/* Performs the machine's PROBE: asks the active generation whether it is well, one probe at a time.
 */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_probe;
