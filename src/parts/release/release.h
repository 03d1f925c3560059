/* Who waits in a queue is served before what he waits at is let go.
 *
 * Addresses that left the settings: free before whoever asked for the reload hears that it is done,
 * though the generations before still finish what they have accepted, with copies of the sockets.
 * A stop, and a side that was switched from: looks who waits until nobody does. */
#pragma once

#include "run/part.h"

extern const HfPart hf_part_release;
