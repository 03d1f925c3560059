/* SPDX-License-Identifier: MIT */
/* Explores the life of a take-over: every event in every state that can be reached, beside what it
 * means for the old server; and shows that each rule can fail (TAP). */
#include <stdbool.h>

#include "parts/inherit/takeover_life.h"

#define END_STEPS 4 /* ready, settled, workers gone, master gone */

typedef unsigned (*Step)(HfTakeoverLife *life, HfTakeoverEvent event);
typedef HfTakeoverEvent Event;

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

#include "small_machine.h"

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

static const Mutant mutants[] = {
    {"asks though the generation died while it settled", asks_after_a_loss, RULE_ACTIVE},
    {"asks on though the generation died", asks_on_after_a_loss, RULE_ACTIVE},
    {"continues nobody", continues_nobody, RULE_FROZEN},
    {"asks by a timer that is not armed", obeys_a_late_timer, RULE_LATE},
    {"settles for ever", settles_for_ever, RULE_END},
};
#define MUTANTS (sizeof(mutants) / sizeof(*mutants))

int main(void)
{
    static const World first[] = {{0}, {.master = 1}};
    const Machine machine = {
        .name = "the life of a take-over",
        .step = hf_takeover_step,
        .go = go,
        .check = check_end,
        .events = HF_TAKEOVER_EVENT_MAX_,
        .states = HF_TAKEOVER_STATE_MAX_,
        .first = first,
        .n_first = sizeof(first) / sizeof(*first),
    };

    return explore_all(&machine, mutants, MUTANTS);
}
