/* SPDX-License-Identifier: MIT */
/* Watches the side of a generation that was switched from, until nobody waits there. */
#pragma once

#include "run/supervisor.h"

typedef struct HfSideWatch HfSideWatch;

/* Performs WATCH_SIDE; *watch belongs to the action's slot. */
void hf_side_watch(HfSupervisor *supervisor, const HfAction *action, HfSideWatch **watch);
/* Accepts and returns NULL. */
HfSideWatch *hf_side_watch_free(HfSideWatch *watch);
