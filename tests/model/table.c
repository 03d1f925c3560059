/* SPDX-License-Identifier: MIT */
#include "table.h"

void table_note(Table *table, const HfActions *actions)
{
    for (size_t i = 0; i < actions->n_moves; i++)
        table->after[actions->moves[i].move][actions->moves[i].phase] |= 1U
                                                                         << actions->moves[i].after;
}

void table_merge(Table *table, const Table *other)
{
    for (HfMove move = 0; move < HF_MOVE_MAX_; move++)
        for (HfPhase phase = 0; phase < HF_PHASE_MAX_; phase++)
            table->after[move][phase] |= other->after[move][phase];
}

bool table_check(const Table *table, FILE *out)
{
    bool ok = true;

    for (HfMove move = 0; move < HF_MOVE_MAX_; move++)
        for (HfPhase phase = 0; phase < HF_PHASE_MAX_; phase++) {
            HfDecision decision = hf_machine_decision(move, phase);
            uint32_t after = table->after[move][phase];
            bool right = decision != 0 ? after != 0 : (after & ~(1U << phase)) == 0;
            if (!right)
                fprintf(out, "# %s in %s: %s %s\n", hf_move_name(move), hf_phase_name(phase),
                        hf_decision_name(decision),
                        decision != 0 ? "was never met" : "has changed the phase");
            ok = ok && right;
        }
    return ok;
}

static void print_cell(HfMove move, HfPhase phase, uint32_t after, FILE *out)
{
    HfDecision decision = hf_machine_decision(move, phase);
    const char *before = ": ";

    fprintf(out, " | %s", hf_decision_name(decision));
    for (HfPhase to = 0; decision != 0 && to < HF_PHASE_MAX_; to++) {
        if (!(after & 1U << to))
            continue;
        fprintf(out, "%s%s", before, to == phase ? "=" : hf_phase_name(to));
        before = ", ";
    }
}

void table_print(const Table *table, FILE *out)
{
    fputs("| move", out);
    for (HfPhase phase = 0; phase < HF_PHASE_ENDED; phase++)
        fprintf(out, " | %s", hf_phase_name(phase));
    fputs(" |\n|---", out);
    for (HfPhase phase = 0; phase < HF_PHASE_ENDED; phase++)
        fputs("|---", out);
    fputs("|\n", out);
    for (HfMove move = 0; move < HF_MOVE_MAX_; move++) {
        fprintf(out, "| %s", hf_move_name(move));
        for (HfPhase phase = 0; phase < HF_PHASE_ENDED; phase++)
            print_cell(move, phase, table->after[move][phase], out);
        fputs(" |\n", out);
    }
}
