/* Looks at the listeners' queues every --queue-every, and says when one stays too full; looks at
 * the memory of the active generation every --recycle-check, and posts OVERSIZE when it is more
 * than
 * --recycle-memory. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_watch;
