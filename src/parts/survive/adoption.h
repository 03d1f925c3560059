/* What systemd's fd store gave back, sorted: to be adopted, or kept for the first plan. */
#pragma once

#include "run/instance.h"

/* Finds the newest whole snapshot and fills its descriptors in. With one of an instance that lived,
 * start becomes ADOPT; otherwise its listeners are kept. What belongs to nothing is let go. Returns
 * 0 or negative errno. */
int hf_instance_stored(HfSupervisor *supervisor, HfInstance *start);
