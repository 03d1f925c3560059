/* SPDX-License-Identifier: MIT */
/* The machine in a world that keeps its own books: every event that may come, and every one that
 * comes too late, in any order, and then a stop. The first two bytes are the limits; each of the
 * others chooses an event, and what is prepared brings limits of its own, out of two more. The
 * rules are those of the exploration; these walks go farther. */
#include <string.h>

#include "fuzz.h"
#include "invariants.h"
#include "machine_limits.h"

#define STEPS_MAX 2000

static void check_rule(Rule rule)
{
    if (rule != RULE_NONE)
        fuzz_fail(__FILE__, __LINE__, rule_text(rule));
}

static void follow(HfMachine *machine, World *world, const HfEvent *event)
{
    const HfMachine before = *machine;
    const World world_before = *world;
    HfActions actions;

    world_event(world, event);
    hf_machine_step(machine, event, &actions);
    for (size_t i = 0; i < actions.n; i++)
        check_rule(world_action(world, event, &actions.list[i]));
    /* the machine probe_backoff no more than the limits of that moment let it */
    if (world->probe_backoff > world_before.probe_backoff &&
        world->probe_backoff > before.limits.probe_doublings)
        world->probe_backoff = world_before.probe_backoff;
    check_rule(invariants_check(&(Edge){.before = &before,
                                        .world_before = &world_before,
                                        .event = event,
                                        .actions = &actions,
                                        .after = machine,
                                        .world_after = world}));
}

static void ignore(HfMachine *machine, const HfEvent *event)
{
    HfActions actions;
    HfMachine before;

    memcpy(&before, machine, sizeof(before));
    hf_machine_step(machine, event, &actions);
    if (actions.n > 0 || memcmp(&before, machine, sizeof(before)) != 0)
        check_rule(RULE_STRAY);
}

/* Whoever is asked hard enough leaves: the end must come. */
static void check_stop(HfMachine *machine, World *world, const Bounds *bounds)
{
    HfEvent events[WORLD_EVENTS_MAX];
    unsigned signals = 0;

    for (unsigned step = 0; !world->ended; step++) {
        size_t n = world_events(world, bounds, events);
        size_t chosen = n;
        CHECK(step < HF_MACHINE_SLOTS + 10);
        for (size_t i = 0; i < n; i++)
            if (!world->started ? events[i].type == HF_EVENT_START
                                : events[i].type == HF_EVENT_ENDED ||
                                      (events[i].type == HF_EVENT_GONE && signals >= 4) ||
                                      (events[i].type == HF_EVENT_STOP_SIGNAL && signals < 4))
                chosen = i;
        CHECK(chosen < n);
        signals += events[chosen].type == HF_EVENT_STOP_SIGNAL;
        follow(machine, world, &events[chosen]);
    }
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        CHECK(machine->requests[i].id == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    const HfMachineLimits limits = fuzz_limits(&input);
    Bounds bounds = {.name = "fuzz",
                     .limits = limits,
                     .occupied = HF_MACHINE_SLOTS,
                     .requests = WORLD_REQUESTS,
                     .takeover = true,
                     .stops = true};
    HfMachine machine;
    World world;

    memset(&world, 0, sizeof(world));
    hf_machine_init(&machine, &limits);
    for (unsigned step = 0; input.size > 0 && step < STEPS_MAX && !world.ended; step++) {
        HfEvent events[WORLD_EVENTS_MAX];
        HfEvent strays[WORLD_EVENTS_MAX];
        size_t n = world_events(&world, &bounds, events);
        size_t n_strays = world_stray_events(&world, strays);
        size_t chosen = input_byte(&input) % (n + n_strays);
        if (chosen < n && events[chosen].type == HF_EVENT_PREPARED) {
            bounds.limits = fuzz_limits(&input);
            hf_machine_offer(&machine, &bounds.limits);
        }
        if (chosen < n)
            follow(&machine, &world, &events[chosen]);
        else
            ignore(&machine, &strays[chosen - n]);
    }
    check_stop(&machine, &world, &bounds);
    return 0;
}
