/* Explores the machine within several bounds (TAP). --quick: narrower ones, for slow builds;
 * --table: prints the table of phases and events instead of the results, from as few bounds as show
 * every transition. */
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "replay.h"
#include "table.h"

#define WALKS      300
#define WALK_STEPS 300

typedef struct Totals {
    unsigned tests;
    bool failed;
    size_t states;
    size_t edges;
    double seconds;
    uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_];
} Totals;

static void add(Totals *totals, const Search *search)
{
    totals->states += search->n;
    totals->edges += search->edges;
    totals->seconds += search->seconds;
    for (HfPhase phase = 0; phase < HF_PHASE_MAX_; phase++)
        for (Column column = 0; column < COLUMN_MAX_; column++)
            totals->next_phases[phase][column] |= search->next_phases[phase][column];
}

static void verdict(Totals *totals, bool ok, FILE *out)
{
    totals->failed = totals->failed || !ok;
    fprintf(out, "%sok %u - ", ok ? "" : "not ", ++totals->tests);
}

static void explore(Totals *totals, const Bounds *bounds, FILE *out)
{
    Search search;

    search_run(&search, bounds, hf_machine_step);
    verdict(totals, search.broken == RULE_NONE, out);
    fprintf(out,
            "%s: %zu states, %zu edges (%zu out of bounds), at most %zu of %d actions a step, "
            "%.1f s\n",
            bounds->name, search.n, search.edges, search.pruned, search.actions_max,
            HF_MACHINE_ACTIONS_MAX, search.seconds);
    if (search.broken != RULE_NONE)
        replay_story(&search, out);
    add(totals, &search);
    search_clear(&search);
}

static void walk(Totals *totals, const Bounds *bounds, FILE *out)
{
    bool ok = replay_walk(bounds, WALKS, WALK_STEPS, out);

    verdict(totals, ok, out);
    fprintf(out, "%s: tidy states behave as those they stand for\n", bounds->name);
}

/* Every phase was seen, or the bounds are too narrow to mean anything. */
static void check_phases(Totals *totals, FILE *out)
{
    uint32_t seen = 0;

    for (HfPhase phase = 0; phase < HF_PHASE_MAX_; phase++)
        for (Column column = 0; column < COLUMN_MAX_; column++)
            if (totals->next_phases[phase][column])
                seen |= totals->next_phases[phase][column] | 1U << phase;
    verdict(totals, seen == (1U << HF_PHASE_MAX_) - 1, out);
    fprintf(out, "every phase was reached\n");
}

int main(int argc, char **argv)
{
    Totals totals = {0};
    FILE *out = stdout;
    bool table = argc == 2 && strcmp(argv[1], "--table") == 0;
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;

    if (argc > 1 && !table && !quick) {
        fprintf(stderr, "usage: %s [--quick|--table]\n", argv[0]);
        return 2;
    }
    if (table)
        out = stderr;
    fprintf(out, "1..%d\n", 2 * BOUNDS_MAX_ + 1);
    for (BoundsKind kind = 0; kind < BOUNDS_MAX_; kind++) {
        bool narrow = quick || (table && kind != BOUNDS_FULL);
        explore(&totals, bounds_get(kind, narrow), out);
        walk(&totals, bounds_get(kind, narrow), out);
    }
    check_phases(&totals, out);
    fprintf(out, "# %zu states, %zu edges, %.1f s\n", totals.states, totals.edges, totals.seconds);
    if (table)
        table_print(totals.next_phases, stdout);
    return totals.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
