/* SPDX-License-Identifier: MIT */
/* The machine's pieces, for machine*.c alone: each file uses those above it. Each function adds its
 * actions in the order in which they are to be done. */
#pragma once

#include "policy/machine.h"

/* ---- machine_parts.c: actions, slots, who waits for an answer ---- */

HfAction *hf_machine_add(HfActions *actions, HfActionType type);
/* With slot and number. */
HfAction *hf_machine_add_for(HfActions *actions, HfActionType type, const HfMachine *machine,
                             unsigned slot);
HfAction *hf_machine_report(HfActions *actions, HfReport what, const HfMachine *machine,
                            unsigned slot);
/* Of no generation. */
HfAction *hf_machine_report_plainly(HfActions *actions, HfReport what);
/* What the failure of a start is: somebody serves, or nobody does. */
HfReport hf_machine_failure(const HfMachine *machine);
bool hf_machine_has(const HfMachine *machine, HfStage stage);
/* Nobody comes to it by himself yet. */
static inline bool hf_stage_is_new(HfStage stage)
{
    return stage == HF_STAGE_STARTING || stage == HF_STAGE_TRIAL;
}
/* The slot of the one that is, or -1. */
int hf_machine_find_new(const HfMachine *machine);
/* The slot with the lowest number above this one, or -1. */
int hf_machine_next_oldest(const HfMachine *machine, uint64_t number);

void hf_machine_answer(HfMachineRequest *request, HfOutcome outcome, HfActions *actions);
/* Those of the replacement that runs. */
void hf_machine_answer_running(HfMachine *machine, HfOutcome outcome, HfActions *actions);
void hf_machine_answer_kind(HfMachine *machine, HfRequestKind kind, HfOutcome outcome,
                            HfActions *actions);
/* Makes reloads and restarts wait for the replacement after the one that runs, or for that one. */
void hf_machine_move_requests(HfMachine *machine, bool next);
bool hf_machine_has_room(const HfMachine *machine); /* for one more who waits */
/* Remembers who waits; false when the table is full, and then the caller has its answer. */
bool hf_machine_enqueue(HfMachine *machine, const HfEvent *event, HfActions *actions);

/* ---- how a generation leaves, and what the active one is found to be ---- */

/* May a generation be in its stage only so long? */
bool hf_machine_is_limited(HfStage stage);
/* How long the one in slot then, usec. */
uint64_t hf_machine_limit(const HfMachine *machine, unsigned slot);
/* It only takes what is left at a side to which nobody comes any more. */
bool hf_machine_leaves_side(const HfMachine *machine, unsigned slot);
/* What only concerns the active generation ends with it. */
void hf_machine_leave_active(HfMachine *machine, unsigned slot);
/* The generation is in this stage now, and gets the signal that belongs to it. */
void hf_machine_enter(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions);
/* Asks a generation to leave: at once with STOP, or first with SETTLE. */
void hf_machine_drain(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions);
/* It leaves by itself: as drained, but without a signal. */
void hf_machine_let_leave(HfMachine *machine, unsigned slot);
/* At least to that stage. */
void hf_machine_hurry(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions);
/* The limit of its stage, which is one of leaving, has passed. */
void hf_machine_escalate(HfMachine *machine, unsigned slot, HfActions *actions);
void hf_machine_extend(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions);
/* Takes what a probe found; returns whether the generation is ill enough for a replacement. */
bool hf_machine_probed(HfMachine *machine, unsigned slot, HfVerdict verdict, HfActions *actions);
/* It is replaced because of that. */
void hf_machine_doubt(HfMachine *machine);

/* ---- machine_outputs.c ---- */

/* All that follows from a state and lasts as long as it does. */
typedef struct HfOutputs {
    HfPhase phase;
    bool backlog;
    bool fallback;
    bool queue;
    uint64_t timers[HF_TIMER_MAX_]; /* what each is armed for; 0: it is not. DEADLINE: slots */
    struct {
        uint64_t number;
        HfStage stage;
        bool deadline;
        bool watched; /* WATCH_SIDE */
        bool tried;   /* TRIAL */
    } slots[HF_MACHINE_SLOTS];
} HfOutputs;

void hf_machine_outputs(const HfMachine *machine, HfOutputs *ret);
/* What follows from the state before was put out; puts out what has changed. */
void hf_machine_put_out(const HfMachine *machine, const HfOutputs *before, HfActions *actions);
/* The start that is under way may have all of that time before callers are answered in its place;
 * the first outage is measured from its beginning, however many starts fail in between. */
void hf_machine_settle_outage(HfMachine *machine, HfActions *actions);

/* ---- machine_replacement.c ---- */

/* Takes the decision of the table. */
void hf_machine_move(HfMachine *machine, HfMove it, HfActions *actions);
/* New connections go to the side of the generation in slot, and that is written down. */
void hf_machine_switch(HfMachine *machine, unsigned slot, HfActions *actions);
void hf_machine_prepare(HfMachine *machine, HfCause cause, HfActions *actions);

/* ---- machine_program.c: holdfast's own program is replaced, or another goes on ---- */

void hf_machine_upgrade_tested(HfMachine *machine, HfActions *actions);
void hf_machine_upgrade_failed(HfMachine *machine, HfActions *actions);
/* An upgrade that is wanted begins when nothing is being replaced; at the end of each step. */
void hf_machine_settle_upgrade(HfMachine *machine, HfActions *actions);
/* Both return false when the event does not fit. */
bool hf_machine_resume(HfMachine *machine, HfActions *actions);
bool hf_machine_adopt(HfMachine *machine, HfActions *actions);
