/* SPDX-License-Identifier: MIT */
/* Mutants of trial, switch and rollback; see mutators.c. */
#pragma once

#include "policy/machine.h"

void mutate_write_nothing(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_forget_switch(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_switch_early(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_start_where_others_leave(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_tell_early(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_start_beside(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_try_nobody(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_pass_anyway(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_end_both(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_end_what_remains(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_watch_no_side(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_retire_the_switched(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_park_nobody(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_park_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_keep_new_plan(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_flatter_rollback(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_adopt_no_trial(HfMachine *m, const HfEvent *e, HfActions *ret);
