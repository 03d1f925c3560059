/* SPDX-License-Identifier: MIT */
/* Machines that break when holdfast's own program is replaced or dies. */
#pragma once

#include "policy/machine.h"

void mutate_upgrade_any_time(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_forget_upgrade(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_flatter_upgrade(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_adopt_patiently(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_adopt_stopped(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_adopt_preparing(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_adopt_reload(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_unsound(HfMachine *m, const HfEvent *e, HfActions *ret);
