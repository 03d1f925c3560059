/* SPDX-License-Identifier: MIT */
/* Explores the machine within several bounds (TAP), in two processes: what it needs is time.
 * --quick: narrower bounds, for slow builds; --table: prints the machine's table, and the results
 * to stderr with room for one more. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bounds.h"
#include "replay.h"
#include "table.h"

#define WALKS      300
#define WALK_STEPS 300
#define PROCESSES  2
#define STORY_MAX  65536

/* Of one exploration, in memory that both processes share. */
typedef struct Result {
    bool ok;
    bool tidy;
    size_t states;
    size_t edges;
    size_t pruned;
    size_t actions_max;
    double seconds;
    Table table;
    char story[STORY_MAX];
} Result;

typedef struct Shared {
    unsigned taken; /* explorations that were begun */
    Result results[BOUNDS_MAX_];
} Shared;

/* The longest first, so that both processes end together. */
static const BoundsKind order[] = {
    BOUNDS_SIDES,     BOUNDS_ALL,   BOUNDS_SIDES_DEATH, BOUNDS_PARK,   BOUNDS_MIXED, BOUNDS_GENTLE,
    BOUNDS_HEALTH,    BOUNDS_FULL,  BOUNDS_CALLERS,     BOUNDS_OUTAGE, BOUNDS_QUEUE, BOUNDS_EXTEND,
    BOUNDS_PROCESSES, BOUNDS_DEATH, BOUNDS_UPGRADE,     BOUNDS_STOPS,  BOUNDS_DOUBTS};
_Static_assert(sizeof(order) / sizeof(*order) == BOUNDS_MAX_, "each kind");

static void explore(const Bounds *bounds, Result *ret)
{
    FILE *out = fmemopen(ret->story, STORY_MAX, "w");
    Search search;

    if (!out)
        abort();
    search_run(&search, bounds, hf_machine_step);
    if (search.broken != RULE_NONE)
        replay_story(&search, out);
    ret->tidy = replay_walk(bounds, WALKS, WALK_STEPS, out);
    ret->ok = search.broken == RULE_NONE;
    ret->states = search.n;
    ret->edges = search.edges;
    ret->pruned = search.pruned;
    ret->actions_max = search.actions_max;
    ret->seconds = search.seconds;
    ret->table = search.met;
    search_clear(&search);
    fclose(out);
}

static void explore_all(Shared *shared, bool narrow)
{
    for (;;) {
        unsigned i = __atomic_fetch_add(&shared->taken, 1, __ATOMIC_SEQ_CST);
        if (i >= BOUNDS_MAX_)
            return;
        explore(bounds_get(order[i], narrow), &shared->results[order[i]]);
    }
}

static bool run(Shared *shared, bool narrow)
{
    bool ok = true;
    int status;

    fflush(NULL);
    for (unsigned i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return false;
        if (pid == 0) {
            explore_all(shared, narrow);
            exit(EXIT_SUCCESS); /* not _exit: coverage counts at the end */
        }
    }
    while (wait(&status) > 0 || errno == EINTR)
        ok = ok && status == 0;
    return ok;
}

static bool verdict(unsigned *tests, bool ok, FILE *out)
{
    fprintf(out, "%sok %u - ", ok ? "" : "not ", ++*tests);
    return ok;
}

static bool tell(const Shared *shared, bool narrow, bool more, Table *table, FILE *out)
{
    size_t states = 0;
    size_t edges = 0;
    unsigned tests = 0;
    bool ok = true;

    fprintf(out, "1..%d\n", 2 * BOUNDS_MAX_ + 1 + more);
    for (BoundsKind kind = 0; kind < BOUNDS_MAX_; kind++) {
        const char *name = bounds_get(kind, narrow)->name;
        const Result *result = &shared->results[kind];
        ok = verdict(&tests, result->ok, out) && ok;
        fprintf(out,
                "%s: %zu states, %zu edges (%zu out of bounds), at most %zu of %d actions a step, "
                "%.1f s\n%s",
                name, result->states, result->edges, result->pruned, result->actions_max,
                HF_MACHINE_ACTIONS_MAX, result->seconds, result->story);
        ok = verdict(&tests, result->tidy, out) && ok;
        fprintf(out, "%s: tidy states behave as those they stand for\n", name);
        states += result->states;
        edges += result->edges;
        table_merge(table, &result->table);
    }
    bool whole = table_check(table, out);
    ok = verdict(&tests, whole, out) && ok;
    fprintf(out, "every decision of the table was met, and no dot changes the phase\n");
    fprintf(out, "# %zu states, %zu edges\n", states, edges);
    return ok;
}

int main(int argc, char **argv)
{
    bool print = argc == 2 && strcmp(argv[1], "--table") == 0;
    bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;
    Table table = {0};

    if (argc > 1 && !print && !quick) {
        fprintf(stderr, "usage: %s [--quick|--table]\n", argv[0]);
        return 2;
    }
    Shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        abort();
    bool ok = run(shared, quick);
    ok = tell(shared, quick, print, &table, print ? stderr : stdout) && ok;
    if (print)
        table_print(&table, stdout);
    munmap(shared, sizeof(*shared));
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
