/* SPDX-License-Identifier: MIT */
/* Explores a machine of few states whole: every event in every state that can be reached; and shows
 * that each rule can fail (TAP). Before this is included: World (its state first), Event, Rule with
 * RULE_NONE, and rule_texts. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLDS_MAX 1024

/* Returns the rule that is broken; step is one of the machine, or of a mutant. */
typedef Rule (*Go)(Step step, World *world, Event event);
typedef Rule (*Check)(Step step, World world);

typedef struct Machine {
    const char *name;
    Step step;
    Go go;
    Check check; /* of each world; NULL: go does it all */
    int events;
    int states;
    const World *first; /* worlds that it begins in */
    size_t n_first;
} Machine;

typedef struct Mutant {
    const char *does;
    Step step;
    Rule breaks;
} Mutant;

typedef struct Search {
    World list[WORLDS_MAX];
    size_t n;
    size_t edges;
    unsigned reached; /* states, as bits */
} Search;

static void add_world(Search *search, const World *world)
{
    for (size_t i = 0; i < search->n; i++)
        if (memcmp(&search->list[i], world, sizeof(*world)) == 0)
            return;
    if (search->n == WORLDS_MAX)
        abort();
    search->list[search->n++] = *world;
    search->reached |= 1U << world->state;
}

static Rule explore(const Machine *machine, Step step, Search *search)
{
    *search = (Search){0};
    for (size_t i = 0; i < machine->n_first; i++)
        add_world(search, &machine->first[i]);
    for (size_t i = 0; i < search->n; i++) {
        Rule broken = machine->check ? machine->check(step, search->list[i]) : RULE_NONE;
        for (int event = 0; broken == RULE_NONE && event < machine->events; event++) {
            World next = search->list[i];
            broken = machine->go(step, &next, (Event)event);
            add_world(search, &next);
            search->edges++;
        }
        if (broken != RULE_NONE)
            return broken;
    }
    return RULE_NONE;
}

/* Returns an exit status. */
static int explore_all(const Machine *machine, const Mutant *mutants, size_t n)
{
    static Search search;

    printf("1..%zu\n", n + 1);
    Rule broken = explore(machine, machine->step, &search);
    bool ok = broken == RULE_NONE && search.reached == (1U << machine->states) - 1;
    bool failed = !ok;
    printf("%sok 1 - %s: %zu states, %zu edges, broken: %s\n", ok ? "" : "not ", machine->name,
           search.n, search.edges, rule_texts[broken]);
    for (size_t i = 0; i < n; i++) {
        broken = explore(machine, mutants[i].step, &search);
        ok = broken == mutants[i].breaks;
        printf("%sok %zu - %s: %s\n", ok ? "" : "not ", i + 2, mutants[i].does, rule_texts[broken]);
        failed = failed || !ok;
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
