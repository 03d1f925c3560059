/* SPDX-License-Identifier: MIT */
/* The side of a generation that was switched from: until nobody waits there. */
#pragma once

#include "run/supervisor.h"

typedef struct HfSideWatch HfSideWatch;

/* Performs WATCH_SIDE; *watch is that of the action's slot. */
void hf_side_watch(HfSupervisor *supervisor, const HfAction *action, HfSideWatch **watch);
/* NULL is fine. Returns NULL. */
HfSideWatch *hf_side_watch_free(HfSideWatch *watch);
