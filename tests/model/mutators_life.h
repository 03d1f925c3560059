/* SPDX-License-Identifier: MIT */
/* Machines that are broken in handover, outage, health or recycling. Each is named after what it
 * does wrong. */
#pragma once

#include "policy/machine.h"

void mutate_roughly(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_deaf_to_retired(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_leave_stopped(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_extend_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_patient(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_silent_outage(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_forgetful(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_mute(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_never_probe(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_hide_saturation(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_tolerate_size(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_never_recycle(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_gentle_with_the_ill(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_settle_in_a_stop(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_answer_beside(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_recover_silently(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_hasty(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_replace_the_hung(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_never_doubt(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_doubt_silently(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_doubt_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_replace_the_busy(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_shorten(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_one_budget(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_ask_the_leaving(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_deaf_to_leaving(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_let_go(HfMachine *m, const HfEvent *e, HfActions *ret);
void mutate_unspawn_the_active(HfMachine *m, const HfEvent *e, HfActions *ret);
