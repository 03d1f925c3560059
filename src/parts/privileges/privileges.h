/* Least privilege: as root, holdfast keeps only the capabilities that its plan goes on needing.
 * What a plan, once its sockets are bound, does not need is given up for good: before its first
 * generation is spawned, and first thing after an upgrade, since execve(2) gave everything back.
 * Later plans must do with what was kept. Without root there is nothing to do. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_privileges;
