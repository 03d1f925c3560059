/* Comes after others: takes a running server's sockets over (--take-over), and what a holdfast that
 * died left; ends what a unit left that was stopped meanwhile (holdfast stop --unit). */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_inherit;
