/* SPDX-License-Identifier: MIT */
/* Explores the life of a take-over: every event in every state that can be reached, beside what it
 * means for the old server; and shows that each rule can fail (TAP). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/takeover.h"

#define WORLDS_MAX 1024
#define END_STEPS  4 /* ready, settled, workers gone, master gone */

typedef unsigned (*Step)(HfTakeoverLife *life, HfTakeoverEvent event);

typedef enum Rule {
    RULE_NONE,
    RULE_ACTIVE, /* the old server is asked only while a generation is active */
    RULE_FROZEN, /* who is not awaited is not left stopped: continued or killed */
    RULE_LATE,   /* what nobody waits for changes nothing */
    RULE_END,    /* with a generation that stays active the end is reached */
    RULE_MAX_,
} Rule;

static const char *const rule_texts[] = {
    "none", "it is asked only while a generation is active", "its master is not left stopped",
    "what nobody waits for changes nothing", "the end is reached"};

/* Bytes, so that two can be compared. */
typedef struct World {
    unsigned char state, master;
    unsigned char active, armed, awaited, frozen, killed, finished;
} World;

typedef struct Search {
    Step step;
    World list[WORLDS_MAX];
    size_t n;
    size_t edges;
    unsigned reached; /* states, as bits */
} Search;

static bool is_awaited(const World *world, HfTakeoverEvent event)
{
    switch (event) {
    case HF_TAKEOVER_SETTLED:
        return world->armed;
    case HF_TAKEOVER_FAILED:
    case HF_TAKEOVER_WORKERS_GONE:
        return world->awaited;
    case HF_TAKEOVER_MASTER_GONE:
        return world->killed && !world->finished;
    case HF_TAKEOVER_READY:
    case HF_TAKEOVER_LOST:
    case HF_TAKEOVER_STOP:
    case HF_TAKEOVER_EVENT_MAX_:
    default:
        return true;
    }
}

static void do_actions(World *world, unsigned actions)
{
    if (actions & HF_TAKEOVER_ARM)
        world->armed = 1;
    if (actions & HF_TAKEOVER_DISARM)
        world->armed = 0;
    if (actions & HF_TAKEOVER_FREEZE)
        world->frozen = 1;
    if (actions & HF_TAKEOVER_ASK)
        world->awaited = 1;
    if (actions & HF_TAKEOVER_SPARE)
        world->awaited = 0;
    if (actions & HF_TAKEOVER_CONTINUE)
        world->frozen = 0;
    if (actions & HF_TAKEOVER_KILL) {
        world->frozen = 0;
        world->killed = 1;
    }
    if (actions & HF_TAKEOVER_FINISH)
        world->finished = 1;
}

/* Returns the rule that is broken. */
static Rule go(Step step, World *world, HfTakeoverEvent event)
{
    HfTakeoverLife life = {world->state, world->master};
    bool awaited = is_awaited(world, event);

    if (event == HF_TAKEOVER_READY || event == HF_TAKEOVER_LOST)
        world->active = event == HF_TAKEOVER_READY;
    if (event == HF_TAKEOVER_SETTLED)
        world->armed = 0;
    if (event == HF_TAKEOVER_WORKERS_GONE)
        world->awaited = 0;
    unsigned actions = step(&life, event);
    if (!awaited && (actions != 0 || life.state != world->state))
        return RULE_LATE;
    world->state = (unsigned char)life.state;
    do_actions(world, actions);
    if ((actions & (HF_TAKEOVER_FREEZE | HF_TAKEOVER_ASK | HF_TAKEOVER_KILL)) && !world->active)
        return RULE_ACTIVE;
    if (world->awaited && !world->active)
        return RULE_ACTIVE;
    return world->frozen && !world->awaited ? RULE_FROZEN : RULE_NONE;
}

static Rule check_end(Step step, World world)
{
    static const HfTakeoverEvent path[] = {HF_TAKEOVER_READY, HF_TAKEOVER_SETTLED,
                                           HF_TAKEOVER_WORKERS_GONE, HF_TAKEOVER_MASTER_GONE};

    for (size_t i = 0; i < END_STEPS; i++)
        if (is_awaited(&world, path[i]))
            go(step, &world, path[i]);
    return world.state == HF_TAKEOVER_OVER ? RULE_NONE : RULE_END;
}

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

static Rule explore(Search *search, Step step)
{
    *search = (Search){.step = step};
    add_world(search, &(World){0});
    add_world(search, &(World){.master = 1});
    for (size_t i = 0; i < search->n; i++) {
        Rule broken = check_end(step, search->list[i]);
        for (int event = 0; broken == RULE_NONE && event < HF_TAKEOVER_EVENT_MAX_; event++) {
            World next = search->list[i];
            broken = go(step, &next, (HfTakeoverEvent)event);
            add_world(search, &next);
            search->edges++;
        }
        if (broken != RULE_NONE)
            return broken;
    }
    return RULE_NONE;
}

/* ---- broken ones ---- */

static unsigned asks_after_a_loss(HfTakeoverLife *life, HfTakeoverEvent event)
{
    bool settling = life->state == HF_TAKEOVER_SETTLING;

    return settling && event == HF_TAKEOVER_LOST ? 0 : hf_takeover_step(life, event);
}

static unsigned asks_on_after_a_loss(HfTakeoverLife *life, HfTakeoverEvent event)
{
    bool retiring = life->state == HF_TAKEOVER_RETIRING;

    return retiring && event == HF_TAKEOVER_LOST ? 0 : hf_takeover_step(life, event);
}

static unsigned continues_nobody(HfTakeoverLife *life, HfTakeoverEvent event)
{
    return hf_takeover_step(life, event) & ~(unsigned)HF_TAKEOVER_CONTINUE;
}

static unsigned obeys_a_late_timer(HfTakeoverLife *life, HfTakeoverEvent event)
{
    HfTakeoverState state = life->state;
    unsigned actions = hf_takeover_step(life, event);

    if (state != HF_TAKEOVER_COPIED || event != HF_TAKEOVER_SETTLED)
        return actions;
    life->state = HF_TAKEOVER_RETIRING;
    return HF_TAKEOVER_ASK;
}

static unsigned settles_for_ever(HfTakeoverLife *life, HfTakeoverEvent event)
{
    return hf_takeover_step(life, event) & ~(unsigned)HF_TAKEOVER_ARM;
}

static const struct {
    const char *does;
    Step step;
    Rule breaks;
} mutants[] = {
    {"asks though the generation died while it settled", asks_after_a_loss, RULE_ACTIVE},
    {"asks on though the generation died", asks_on_after_a_loss, RULE_ACTIVE},
    {"continues nobody", continues_nobody, RULE_FROZEN},
    {"asks by a timer that is not armed", obeys_a_late_timer, RULE_LATE},
    {"settles for ever", settles_for_ever, RULE_END},
};
#define MUTANTS (sizeof(mutants) / sizeof(*mutants))

int main(void)
{
    static Search search;
    bool failed = false;

    printf("1..%zu\n", MUTANTS + 1);
    Rule broken = explore(&search, hf_takeover_step);
    bool ok = broken == RULE_NONE && search.reached == (1U << HF_TAKEOVER_STATE_MAX_) - 1;
    printf("%sok 1 - the life of a take-over: %zu states, %zu edges, broken: %s\n",
           ok ? "" : "not ", search.n, search.edges, rule_texts[broken]);
    failed = !ok;
    for (size_t i = 0; i < MUTANTS; i++) {
        broken = explore(&search, mutants[i].step);
        ok = broken == mutants[i].breaks;
        printf("%sok %zu - %s: %s\n", ok ? "" : "not ", i + 2, mutants[i].does, rule_texts[broken]);
        failed = failed || !ok;
    }
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
