#include "table.h"

static const char *const heads[] = {
    [COLUMN_START] = "start",
    [COLUMN_PREPARED] = "prepared",
    [COLUMN_PREPARE_FAILED] = "prepare-failed",
    [COLUMN_SPAWN_FAILED] = "spawn-failed",
    [COLUMN_READY] = "ready",
    [COLUMN_MAIN_EXITED] = "main-exited",
    [COLUMN_GONE] = "gone",
    [COLUMN_DEADLINE] = "deadline",
    [COLUMN_RESPAWN] = "respawn",
    [COLUMN_STABLE] = "stable",
    [COLUMN_BUSY] = "busy",
    [COLUMN_PROBE] = "probe",
    [COLUMN_RECYCLE] = "recycle",
    [COLUMN_STOP_WAIT] = "stop-wait",
    [COLUMN_QUEUE_SERVED] = "queue-served",
    [COLUMN_ENDED] = "ended",
    [COLUMN_RELOAD] = "reload",
    [COLUMN_RESTART] = "restart",
    [COLUMN_STOP] = "stop",
    [COLUMN_UPGRADE] = "upgrade",
    [COLUMN_STOP_SIGNAL] = "stop-signal",
    [COLUMN_REOPEN] = "reopen",
    [COLUMN_RETIRED] = "retired",
    [COLUMN_EXTEND] = "extend",
    [COLUMN_FALLBACK_GONE] = "answerer-gone",
    [COLUMN_PROBED] = "probed",
    [COLUMN_OVERSIZE] = "oversize",
    [COLUMN_LEAVING] = "leaving",
    [COLUMN_UPGRADE_TESTED] = "upgrade-tested",
    [COLUMN_UPGRADE_FAILED] = "upgrade-failed",
    [COLUMN_RESUME] = "resume",
    [COLUMN_ADOPT] = "adopt",
};
_Static_assert(sizeof(heads) / sizeof(*heads) == COLUMN_MAX_, "a head for each column");

static void print_cell(uint32_t next, HfPhase phase, FILE *out)
{
    bool comma = next & 1U << phase; /* something stands before it */

    fputs(comma ? " | =" : " |", out);
    for (HfPhase to = 0; to < HF_PHASE_MAX_; to++) {
        if (to == phase || !(next & 1U << to))
            continue;
        fprintf(out, "%s %s", comma ? "," : "", hf_phase_name(to));
        comma = true;
    }
}

/* Whether the event never leads to another phase. */
static bool is_still(uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_], Column column)
{
    for (HfPhase phase = 0; phase < HF_PHASE_MAX_; phase++)
        if (next_phases[phase][column] & ~(1U << phase))
            return false;
    return true;
}

static void print_still(uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_], FILE *out)
{
    const char *before = "The phase never changes at:";

    for (Column column = 0; column < COLUMN_MAX_; column++) {
        if (!is_still(next_phases, column))
            continue;
        fprintf(out, "%s %s", before, heads[column]);
        before = ",";
    }
    fputs(".\n", out);
}

void table_print(uint32_t next_phases[HF_PHASE_MAX_][COLUMN_MAX_], FILE *out)
{
    fputs("| event", out);
    for (HfPhase phase = 0; phase < HF_PHASE_ENDED; phase++)
        fprintf(out, " | %s", hf_phase_name(phase));
    fputs(" |\n|---", out);
    for (HfPhase phase = 0; phase < HF_PHASE_ENDED; phase++)
        fputs("|---", out);
    fputs("|\n", out);
    for (Column column = 0; column < COLUMN_MAX_; column++) {
        if (is_still(next_phases, column))
            continue;
        fprintf(out, "| %s", heads[column]);
        for (HfPhase phase = 0; phase < HF_PHASE_ENDED; phase++)
            print_cell(next_phases[phase][column], phase, out);
        fputs(" |\n", out);
    }
    fputs("\n", out);
    print_still(next_phases, out);
}
