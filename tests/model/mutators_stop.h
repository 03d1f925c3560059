/* SPDX-License-Identifier: MIT */
/* Machines that stop, or end with the service, wrongly; and those that mix up plans or generations.
 */
#pragma once

#include "policy/machine.h"

void mutate_stop_at_once(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_leave_the_queue(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_restart_the_ended(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_end_as_signal(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_insist_on_takeover(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_wait_at_the_end(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_flatter_status(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_answer_stop_early(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_commit_late(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_wait_for_settings(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_take_stale(HfMachine *m, const HfEvent *e, HfActions *ret);
