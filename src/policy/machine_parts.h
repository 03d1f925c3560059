/* SPDX-License-Identifier: MIT */
/* The machine's parts, private to machine*.c: each file uses only those above it. Functions append
 * their actions in the order in which they are to be performed. */
#pragma once

#include "policy/machine.h"

/* ---- machine_parts.c: actions, slots, waiting callers ---- */

HfAction *hf_machine_add(HfActions *actions, HfActionType type);
/* Adds an action with slot and number. */
HfAction *hf_machine_add_for(HfActions *actions, HfActionType type, const HfMachine *machine,
                             unsigned slot);
HfAction *hf_machine_report(HfActions *actions, HfReport what, const HfMachine *machine,
                            unsigned slot);
/* A report that is not about a generation. */
HfAction *hf_machine_report_plainly(HfActions *actions, HfReport what);
/* The report for a failed start: does a generation serve all the same? */
HfReport hf_machine_failure(const HfMachine *machine);
bool hf_machine_has(const HfMachine *machine, HfStage stage);
/* Is it not yet reached by clients? */
static inline bool hf_stage_is_new(HfStage stage)
{
    return stage == HF_STAGE_STARTING || stage == HF_STAGE_TRIAL;
}
/* The slot of the generation in such a stage, or -1. */
int hf_machine_find_new(const HfMachine *machine);
/* The slot with the next number above this one, or -1. */
int hf_machine_next_oldest(const HfMachine *machine, uint64_t number);

void hf_machine_answer(HfMachineRequest *request, HfOutcome outcome, HfActions *actions);
/* Answers the callers of the current replacement. */
void hf_machine_answer_running(HfMachine *machine, HfOutcome outcome, HfActions *actions);
void hf_machine_answer_kind(HfMachine *machine, HfRequestKind kind, HfOutcome outcome,
                            HfActions *actions);
/* Moves waiting reloads and restarts to the replacement after the current one (next), or to the
 * current one. */
void hf_machine_move_requests(HfMachine *machine, bool next);
bool hf_machine_has_room(const HfMachine *machine); /* for another waiting caller */
/* Remembers a caller; returns false when the table is full and the caller has been answered. */
bool hf_machine_enqueue(HfMachine *machine, const HfEvent *event, HfActions *actions);

/* ---- how a generation leaves, and the health of the active one ---- */

/* Is the time in this stage limited? */
bool hf_machine_is_limited(HfStage stage);
/* That limit for the generation in slot, usec. */
uint64_t hf_machine_limit(const HfMachine *machine, unsigned slot);
/* Does it only serve what is left on a side that gets no more connections? */
bool hf_machine_leaves_side(const HfMachine *machine, unsigned slot);
/* Ends whatever concerns only the active generation. */
void hf_machine_leave_active(HfMachine *machine, unsigned slot);
/* Puts the generation into this stage, and sends the signal that belongs to it. */
void hf_machine_enter(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions);
/* Asks a generation to leave: at once (STOP) or after a while (SETTLE). */
void hf_machine_drain(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions);
/* Records that it leaves by itself: like a drain, but without a signal. */
void hf_machine_expect_leave(HfMachine *machine, unsigned slot);
/* Moves the generation on to that stage unless it is there already or beyond. */
void hf_machine_escalate_to(HfMachine *machine, unsigned slot, HfStage stage, HfActions *actions);
/* The limit of its stage, one of leaving, has passed: moves it on to the next. */
void hf_machine_escalate(HfMachine *machine, unsigned slot, HfActions *actions);
void hf_machine_extend(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions);
/* Takes the result of a probe; returns whether the generation must be replaced. */
bool hf_machine_probed(HfMachine *machine, unsigned slot, HfVerdict verdict, HfActions *actions);
/* Doubles the number of bad probes that the next replacement takes. */
void hf_machine_back_off_probe(HfMachine *machine);

/* ---- machine_outputs.c ---- */

/* Everything that follows from a state and lasts as long as it does. */
typedef struct HfOutputs {
    HfPhase phase;
    bool backlog;
    bool fallback;
    bool queue;
    uint64_t timers[HF_TIMER_MAX_]; /* what each is armed for; 0: nothing. DEADLINE: slots */
    struct {
        uint64_t number;
        HfStage stage;
        bool deadline;
        bool watched; /* WATCH_SIDE */
        bool tried;   /* TRIAL */
    } slots[HF_MACHINE_SLOTS];
} HfOutputs;

void hf_machine_outputs(const HfMachine *machine, HfOutputs *ret);
/* Adds the actions for outputs that differ from those before the step. */
void hf_machine_put_out(const HfMachine *machine, const HfOutputs *before, HfActions *actions);
/* Gives the current start its full time before callers get an answer instead; the first outage is
 * measured from its own beginning, however many starts fail during it. */
void hf_machine_settle_outage(HfMachine *machine, HfActions *actions);

/* ---- machine_replacement.c ---- */

/* Takes the decision that the table has for a move. */
void hf_machine_move(HfMachine *machine, HfMove it, HfActions *actions);
/* Sends new connections to the side of the generation in slot, and saves that. */
void hf_machine_switch(HfMachine *machine, unsigned slot, HfActions *actions);
void hf_machine_prepare(HfMachine *machine, HfCause cause, HfActions *actions);

/* ---- machine_program.c: holdfast's own program is replaced, or another one continues ---- */

void hf_machine_upgrade_tested(HfMachine *machine, HfActions *actions);
void hf_machine_upgrade_failed(HfMachine *machine, HfActions *actions);
/* Begins a wanted upgrade once nothing is being replaced; called at the end of each step. */
void hf_machine_settle_upgrade(HfMachine *machine, HfActions *actions);
/* Both return false when the event does not fit. */
bool hf_machine_resume(HfMachine *machine, HfActions *actions);
bool hf_machine_adopt(HfMachine *machine, HfActions *actions);
