/* Explores the machine within several bounds. --quick: narrower ones, for slow builds; --table: the
 * table of phases and events instead of the results. */
#include <string.h>

#include "replay.h"
#include "table.h"

#define LIMITS(draining)                                                                           \
    {                                                                                              \
        .ready_timeout = 60000000, .drain_timeout = 30000000, .term_timeout = 5000000,             \
        .kill_interval = 1000000, .backoff_max = 200000, .stable_time = 10000000,                  \
        .max_draining = (draining)                                                                 \
    }

static const Bounds wide[] = {
    {.name = "callers", .limits = LIMITS(1), .occupied = 4, .requests = 1},
    {.name = "processes", .limits = LIMITS(2), .occupied = 5, .requests = 0},
    {.name = "full slots", .limits = LIMITS(5), .occupied = 8, .requests = 0, .stubborn = true},
};

int main(int argc, char **argv)
{
    bool table = argc > 1 && strcmp(argv[1], "--table") == 0;
    uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_] = {{0}};
    FILE *out = stdout;
    bool ok = true;
    (void)table;

    for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++) {
        Search search;
        search_run(&search, &wide[i], hf_machine_step);
        ok = ok && search.broken == RULE_NONE;
        fprintf(out,
                "%sok %zu - %s: %zu states, %zu edges (%zu out of bounds), at most %zu actions a "
                "step, %.1f s\n",
                search.broken == RULE_NONE ? "" : "not ", i + 1, wide[i].name, search.n,
                search.edges, search.pruned, search.actions_max, search.seconds);
        fflush(out);
        if (search.broken != RULE_NONE)
            replay_story(&search, out);
        for (HfPhase phase = 0; phase < HF_PHASE_MAX_; phase++)
            for (Column column = 0; column < COLUMN_MAX_; column++)
                next_phases[phase][column] |= search.next_phases[phase][column];
        search_clear(&search);
    }
    for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++)
        printf("walk %d\n", replay_walk(&wide[i], 1000, 300, stdout));
    table_print(next_phases, out);
    return ok ? 0 : 1;
}
