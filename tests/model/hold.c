/* SPDX-License-Identifier: MIT */
/* Explores connections that are held: every event in every state that can be reached; and shows
 * that each rule can fail (TAP). */
#include <stdbool.h>

#include "parts/fallback/hold.h"

typedef unsigned (*Step)(HfHoldLife *life, HfHoldEvent event);
typedef HfHoldEvent Event;

typedef enum Rule {
    RULE_NONE,
    RULE_BOUND,  /* who waits does so for a time, or is answered */
    RULE_FREE,   /* where nobody waits no timer runs, and nobody is answered */
    RULE_LATE,   /* what nobody waits for changes nothing */
    RULE_ASKED,  /* a hold leads to waiting, or is refused, with nothing else done */
    RULE_BACK,   /* a release leads back, from everywhere */
    RULE_STOP,   /* a stop lets nobody through and leaves nobody waiting */
    RULE_ELAPSE, /* when the time is over nobody waits */
    RULE_MAX_,
} Rule;

static const char *const rule_texts[] = {
    "none",
    "who waits does so for a time, or is answered",
    "where nobody waits nothing runs",
    "what nobody waits for changes nothing",
    "a hold leads to waiting, or is refused",
    "a release leads back",
    "a stop lets nobody through and leaves nobody waiting",
    "when the time is over nobody waits",
};

/* Bytes, so that two can be compared. */
typedef struct World {
    unsigned char state, stopping;
    unsigned char steered, armed, answering;
} World;

#include "small_machine.h"

static void do_actions(World *world, unsigned actions)
{
    if (actions & HF_HOLD_DISARM)
        world->armed = 0;
    if (actions & HF_HOLD_SILENCE)
        world->answering = 0;
    if (actions & HF_HOLD_STEER)
        world->steered = 1;
    if (actions & HF_HOLD_RETURN)
        world->steered = 0;
    if (actions & (HF_HOLD_ARM | HF_HOLD_RETRY))
        world->armed = 1;
    if (actions & HF_HOLD_ANSWER)
        world->answering = 1;
}

static Rule check_state(const World *world)
{
    if (world->steered && world->armed + world->answering != 1)
        return RULE_BOUND;
    return !world->steered && (world->armed || world->answering) ? RULE_FREE : RULE_NONE;
}

static Rule check_event(const World *before, const World *world, HfHoldEvent event,
                        unsigned actions)
{
    bool refused = actions == HF_HOLD_REFUSE && memcmp(before, world, sizeof(*world)) == 0;
    bool waits = world->steered && world->armed && (actions & HF_HOLD_ARM);

    if (event == HF_HOLD_ASKED && (before->stopping ? !refused : !waits))
        return RULE_ASKED;
    if (event == HF_HOLD_RELEASED && (world->steered || refused != !before->steered))
        return RULE_BACK;
    if (event == HF_HOLD_STOPPING && !before->stopping &&
        (world->steered != before->steered || world->steered != world->answering))
        return RULE_STOP;
    if (event == HF_HOLD_ELAPSED && before->armed && !world->answering)
        return RULE_ELAPSE;
    return RULE_NONE;
}

/* Returns the rule that is broken. */
static Rule go(Step step, World *world, HfHoldEvent event)
{
    const World before = *world;
    HfHoldLife life = {world->state, world->stopping};
    bool late = (event == HF_HOLD_ELAPSED && !world->armed) ||
                (event == HF_HOLD_UNANSWERED && !world->answering) ||
                (event == HF_HOLD_STOPPING && world->stopping);

    if (event == HF_HOLD_ELAPSED)
        world->armed = 0;
    if (event == HF_HOLD_UNANSWERED)
        world->answering = 0;
    unsigned actions = step(&life, event);
    if (late && (actions != 0 || life.state != before.state || life.stopping != before.stopping))
        return RULE_LATE;
    world->state = (unsigned char)life.state;
    world->stopping = life.stopping;
    do_actions(world, actions);
    Rule broken = check_event(&before, world, event, actions);
    return broken == RULE_NONE ? check_state(world) : broken;
}

/* ---- broken ones ---- */

static unsigned waits_for_ever(HfHoldLife *life, HfHoldEvent event)
{
    return hf_hold_step(life, event) & ~(unsigned)HF_HOLD_ARM;
}

static unsigned answers_on_after_a_release(HfHoldLife *life, HfHoldEvent event)
{
    unsigned actions = hf_hold_step(life, event);

    return event == HF_HOLD_RELEASED ? actions & ~(unsigned)HF_HOLD_SILENCE : actions;
}

static unsigned forgets_the_timer(HfHoldLife *life, HfHoldEvent event)
{
    unsigned actions = hf_hold_step(life, event);

    return event == HF_HOLD_RELEASED ? actions & ~(unsigned)HF_HOLD_DISARM : actions;
}

static unsigned answers_twice(HfHoldLife *life, HfHoldEvent event)
{
    bool again = life->state == HF_HOLD_ANSWERED && event == HF_HOLD_ELAPSED;

    return again ? HF_HOLD_ANSWER : hf_hold_step(life, event);
}

static unsigned gives_up_answering(HfHoldLife *life, HfHoldEvent event)
{
    return hf_hold_step(life, event) & ~(unsigned)HF_HOLD_RETRY;
}

static unsigned holds_while_it_stops(HfHoldLife *life, HfHoldEvent event)
{
    if (event == HF_HOLD_ASKED)
        life->stopping = false;
    return hf_hold_step(life, event);
}

static unsigned releases_once_only(HfHoldLife *life, HfHoldEvent event)
{
    return hf_hold_step(life, event) & ~(unsigned)HF_HOLD_RETURN;
}

static unsigned lets_through_at_a_stop(HfHoldLife *life, HfHoldEvent event)
{
    return hf_hold_step(life, event == HF_HOLD_STOPPING ? HF_HOLD_RELEASED : event);
}

static unsigned waits_through_a_stop(HfHoldLife *life, HfHoldEvent event)
{
    return event == HF_HOLD_STOPPING ? 0 : hf_hold_step(life, event);
}

static unsigned extends_by_itself(HfHoldLife *life, HfHoldEvent event)
{
    bool over = life->state == HF_HOLD_WAITING && event == HF_HOLD_ELAPSED;

    return hf_hold_step(life, over ? HF_HOLD_ASKED : event);
}

static const Mutant mutants[] = {
    {"lets them wait for ever", waits_for_ever, RULE_ASKED},
    {"answers on after a release", answers_on_after_a_release, RULE_FREE},
    {"forgets the timer at a release", forgets_the_timer, RULE_FREE},
    {"answers by a timer that is not armed", answers_twice, RULE_LATE},
    {"gives up when the answerer has ended", gives_up_answering, RULE_BOUND},
    {"holds while it stops", holds_while_it_stops, RULE_ASKED},
    {"does not lead back", releases_once_only, RULE_BACK},
    {"lets them through at a stop", lets_through_at_a_stop, RULE_STOP},
    {"lets them wait through a stop", waits_through_a_stop, RULE_STOP},
    {"extends the time by itself", extends_by_itself, RULE_ELAPSE},
};
#define MUTANTS (sizeof(mutants) / sizeof(*mutants))

int main(void)
{
    static const World first[] = {{0}};
    const Machine machine = {
        .name = "connections that are held",
        .step = hf_hold_step,
        .go = go,
        .check = NULL,
        .events = HF_HOLD_EVENT_MAX_,
        .states = HF_HOLD_STATE_MAX_,
        .first = first,
        .n_first = sizeof(first) / sizeof(*first),
    };

    return explore_all(&machine, mutants, MUTANTS);
}
