/* What the calling process itself may do. capabilities(7), libcap(3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Is that capability (its number) effective? */
bool hf_privilege_has(int capability);
