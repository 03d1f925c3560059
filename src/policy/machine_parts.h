/* The machine's pieces, for machine*.c alone. Each adds its actions in the order in which they are
 * to be done. */
#pragma once

#include "policy/machine.h"

/* ---- machine_actions.c ---- */

HfAction *hf_machine_add(HfActions *actions, HfActionType type);
/* With slot and number. */
HfAction *hf_machine_add_for(HfActions *actions, HfActionType type, const HfMachine *machine,
                             unsigned slot);
HfAction *hf_machine_report(HfActions *actions, HfReport what, const HfMachine *machine,
                            unsigned slot);
HfAction *hf_machine_arm_deadline(HfMachine *machine, unsigned slot, uint64_t usec,
                                  HfActions *actions);
void hf_machine_disarm_deadline(HfMachine *machine, unsigned slot, HfActions *actions);
/* armed: the machine's flag of that timer. */
void hf_machine_arm(bool *armed, HfTimer timer, uint64_t usec, bool spread, HfActions *actions);
void hf_machine_disarm(bool *armed, HfTimer timer, HfActions *actions);

/* Of the generation that is starting: by what it was prepared with. */
static inline uint64_t hf_machine_ready_timeout(const HfMachine *machine)
{
    return (machine->prepared ? &machine->next : &machine->limits)->ready_timeout;
}

/* ---- machine.c: one replacement ---- */

void hf_machine_prepare(HfMachine *machine, HfCause cause, HfActions *actions);
void hf_machine_arm_recycle(HfMachine *machine, HfActions *actions);
void hf_machine_end_if_gone(HfMachine *machine, HfActions *actions);

/* ---- machine_ladder.c: how a generation leaves ---- */

/* What only concerns the active generation ends with it. */
void hf_machine_leave_active(HfMachine *machine, unsigned slot, HfActions *actions);
void hf_machine_climb(HfMachine *machine, unsigned slot, HfRung rung, HfActions *actions);
/* A draining generation is given all the time of its rung again. */
void hf_machine_wait_again(HfMachine *machine, unsigned slot, HfActions *actions);
/* Asks a generation to leave, gently if wanted. */
void hf_machine_drain(HfMachine *machine, unsigned slot, bool gentle, HfActions *actions);
/* It leaves by itself: as drained, but without a signal. */
void hf_machine_let_leave(HfMachine *machine, unsigned slot, HfActions *actions);
/* At least up to rung. */
void hf_machine_hurry(HfMachine *machine, unsigned slot, HfRung rung, HfActions *actions);
/* The deadline of a draining generation has passed. */
void hf_machine_climb_on(HfMachine *machine, unsigned slot, HfActions *actions);
void hf_machine_extend(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions);

/* ---- machine_health.c: what probes find ---- */

void hf_machine_arm_probe(HfMachine *machine, HfActions *actions);
/* Returns whether the generation in slot is ill enough for a replacement. */
bool hf_machine_probed(HfMachine *machine, unsigned slot, HfVerdict verdict, HfActions *actions);
/* It is replaced because of that. */
void hf_machine_doubt(HfMachine *machine);

/* ---- machine_requests.c: who waits for an answer ---- */

void hf_machine_answer(HfMachineRequest *request, HfOutcome outcome, HfActions *actions);
void hf_machine_answer_running(HfMachine *machine, HfOutcome outcome, HfActions *actions);
void hf_machine_answer_upgrades(HfMachine *machine, HfOutcome outcome, HfActions *actions);
void hf_machine_answer_all(HfMachine *machine, HfOutcome outcome, HfActions *actions);
/* Makes all but upgrades wait for the replacement after the one that runs, or for the one that
 * runs. */
void hf_machine_move_requests(HfMachine *machine, bool next);
/* Remembers who waits; false when the table is full, and then the caller has its answer. */
bool hf_machine_enqueue(HfMachine *machine, const HfEvent *event, HfActions *actions);

/* ---- machine_gap.c: while no generation serves ---- */

/* The answerer is out of the way before a generation is spawned, which is given as much time again;
 * a first outage is measured from its beginning, however many starts fail in between. */
void hf_machine_yield(HfMachine *machine, HfActions *actions);
/* Backlog, outage and answerer as the state now demands; at the end of each step. */
void hf_machine_settle_gap(HfMachine *machine, HfActions *actions);
/* BUSY has elapsed. */
void hf_machine_overdue(HfMachine *machine, HfActions *actions);

/* ---- machine_upgrade.c: holdfast's own program is replaced ---- */

void hf_machine_upgrade_tested(HfMachine *machine, HfActions *actions);
void hf_machine_upgrade_failed(HfMachine *machine, HfActions *actions);
/* An upgrade that is wanted begins when nothing is being replaced; at the end of each step. */
void hf_machine_settle_upgrade(HfMachine *machine, HfActions *actions);
bool hf_machine_may_upgrade(const HfMachine *machine);

/* ---- machine_resume.c: the machine goes on in another program ---- */

void hf_machine_resume(HfMachine *machine, HfActions *actions);
void hf_machine_adopt(HfMachine *machine, HfActions *actions);
