/* SPDX-License-Identifier: MIT */
/* What no run of the machine leads to: states that a snapshot could claim, counters at their end,
 * and programming errors. All else is explored in tests/model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <stdlib.h>

#include "policy/machine_parts.h"

#define STARTING(n)                                                                                \
    {                                                                                              \
        .stage = HF_STAGE_STARTING, .number = (n)                                                  \
    }
#define ACTIVE(n)                                                                                  \
    {                                                                                              \
        .stage = HF_STAGE_ACTIVE, .number = (n)                                                    \
    }
#define DRAINING(n)                                                                                \
    {                                                                                              \
        .stage = HF_STAGE_STOP, .number = (n)                                                      \
    }
#define SETTLING(n)                                                                                \
    {                                                                                              \
        .stage = HF_STAGE_SETTLE, .number = (n)                                                    \
    }
#define PHASE(which) .phase = HF_PHASE_##which, .last_number = 9

static const HfMachineLimits limits = {
    .max_draining = 4, .drain_timeout = 1, .retires = true, .gentle = true};

/* An assertion that fails ends a test that expects it, not the program. */
void __assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
{
    (void)function;
    mock_assert(0, assertion, file, (int)line);
    abort();
}

#define TRIAL(n)                                                                                   \
    {                                                                                              \
        .stage = HF_STAGE_TRIAL, .number = (n), .side = 1                                          \
    }
#define PARKED(n)                                                                                  \
    {                                                                                              \
        .stage = HF_STAGE_PARKED, .number = (n), .side = 1                                         \
    }
#define ON_SIDE(n)                                                                                 \
    {                                                                                              \
        .stage = HF_STAGE_ACTIVE, .number = (n), .side = 1                                         \
    }
#define LEFT(n)                                                                                    \
    {                                                                                              \
        .stage = HF_STAGE_ACTIVE, .number = (n), .main_exited = true                               \
    }
#define LEFT_SETTLING(n)                                                                           \
    {                                                                                              \
        .stage = HF_STAGE_SETTLE, .number = (n), .main_exited = true                               \
    }

static void sound_states(void **state)
{
    static const HfMachine machines[] = {
        {PHASE(NEW)},
        {PHASE(IDLE), .planned = true, .generations = {ACTIVE(1)}},
        {PHASE(IDLE), .planned = true, .generations = {DRAINING(1), ACTIVE(9)}},
        {PHASE(PREPARING)},
        {PHASE(PREPARING), .planned = true, .generations = {ACTIVE(1)}},
        {PHASE(WAITING), .planned = true, .generations = {DRAINING(1)}},
        {PHASE(WAITING), .prepared = true, .generations = {DRAINING(1)}},
        {PHASE(CLEARING), .prepared = true, .generations = {DRAINING(1)}},
        {PHASE(STARTING), .planned = true, .generations = {STARTING(1)}},
        {PHASE(STARTING), .prepared = true, .generations = {ACTIVE(1), STARTING(2)}},
        {PHASE(BACKOFF), .planned = true},
        {PHASE(STOPPING), .generations = {DRAINING(1)}},
        {PHASE(STOPPING), .generations = {{.stage = HF_STAGE_RETIRE, .number = 1}}},
        {PHASE(STOPPING),
         .generations = {{.stage = HF_STAGE_KILL, .main_exited = true, .number = 1}}},
        {PHASE(ENDING)},
        {PHASE(ENDED)},
        {PHASE(TRYING), .planned = true, .generations = {ACTIVE(1), TRIAL(2)}},
        {PHASE(TRYING), .prepared = true, .generations = {LEFT(1), TRIAL(2)}},
        {PHASE(IDLE), .planned = true, .generations = {PARKED(1), ACTIVE(2)}},
        {PHASE(IDLE), .side = 1, .planned = true, .generations = {LEFT_SETTLING(1), ON_SIDE(2)}},
        {PHASE(BACKOFF), .planned = true, .generations = {LEFT(1)}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
        if (!hf_machine_is_sound(&machines[i]))
            fail_msg("row %zu", i);
}

static void unsound_phases(void **state)
{
    static const HfMachine machines[] = {
        {PHASE(NEW), .side = HF_MACHINE_SIDES},
        {PHASE(NEW), .generations = {STARTING(1)}},
        {PHASE(NEW), .generations = {ACTIVE(1)}},
        {PHASE(NEW), .generations = {DRAINING(1)}},
        {PHASE(IDLE), .planned = true},
        {PHASE(IDLE), .planned = true, .generations = {ACTIVE(1), STARTING(2)}},
        {PHASE(IDLE), .generations = {ACTIVE(1)}},
        {PHASE(PREPARING), .generations = {ACTIVE(1)}},
        {PHASE(PREPARING), .planned = true, .generations = {STARTING(1)}},
        {PHASE(WAITING), .planned = true},
        {PHASE(WAITING), .planned = true, .generations = {DRAINING(1), STARTING(2)}},
        {PHASE(WAITING), .generations = {DRAINING(1)}},
        {PHASE(CLEARING), .prepared = true},
        {PHASE(CLEARING), .prepared = true, .generations = {DRAINING(1), STARTING(2)}},
        {PHASE(CLEARING), .prepared = true, .generations = {DRAINING(1), ACTIVE(2)}},
        {PHASE(CLEARING), .planned = true, .generations = {DRAINING(1)}},
        {PHASE(STARTING), .planned = true, .generations = {ACTIVE(1)}},
        {PHASE(STARTING), .generations = {STARTING(1)}},
        {PHASE(BACKOFF), .planned = true, .generations = {STARTING(1)}},
        {PHASE(BACKOFF), .planned = true, .generations = {ACTIVE(1)}},
        {PHASE(BACKOFF)},
        {PHASE(STOPPING), .generations = {STARTING(1)}},
        {PHASE(STOPPING), .generations = {ACTIVE(1)}},
        {PHASE(ENDING), .generations = {DRAINING(1)}},
        {PHASE(ENDED), .generations = {STARTING(1)}},
        {PHASE(ENDED), .generations = {ACTIVE(1)}},
        {PHASE(ENDED), .generations = {DRAINING(1)}},
        {PHASE(MAX_)},
        {PHASE(TRYING), .planned = true, .generations = {ACTIVE(1)}},
        {PHASE(TRYING), .planned = true, .generations = {TRIAL(1)}},
        {PHASE(TRYING), .generations = {ACTIVE(1), TRIAL(2)}},
        {PHASE(TRYING), .planned = true, .generations = {ACTIVE(1), TRIAL(2), STARTING(3)}},
        {PHASE(TRYING), .planned = true, .generations = {ACTIVE(1), TRIAL(2), TRIAL(3)}},
        {PHASE(TRYING), .planned = true, .generations = {ACTIVE(1), TRIAL(2), PARKED(3)}},
        {PHASE(TRYING), .side = 1, .planned = true, .generations = {ON_SIDE(1), TRIAL(2)}},
        {PHASE(IDLE), .planned = true, .generations = {ACTIVE(1), TRIAL(2)}},
        {PHASE(IDLE), .planned = true, .generations = {LEFT(1)}},
        {PHASE(IDLE), .planned = true, .generations = {ON_SIDE(1)}},
        {PHASE(IDLE), .side = HF_MACHINE_SIDES, .planned = true, .generations = {ACTIVE(1)}},
        {PHASE(IDLE), .planned = true, .generations = {PARKED(1), PARKED(2), ACTIVE(3)}},
        {PHASE(IDLE), .side = 1, .planned = true, .generations = {PARKED(1), ON_SIDE(2)}},
        {PHASE(IDLE), .planned = true, .generations = {LEFT_SETTLING(1), ACTIVE(2)}},
        {PHASE(IDLE), .planned = true,
         .generations = {ACTIVE(1),
                         {.stage = HF_STAGE_STOP, .number = 2, .side = HF_MACHINE_SIDES}}},
        {PHASE(CLEARING), .prepared = true, .generations = {DRAINING(1), PARKED(2)}},
        {PHASE(STOPPING), .generations = {DRAINING(1), PARKED(2)}},
        {PHASE(ENDING), .generations = {PARKED(1)}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
        if (hf_machine_is_sound(&machines[i]))
            fail_msg("row %zu", i);
}

static void unsound_generations(void **state)
{
    static const HfMachineGeneration rows[][2] = {
        {{.number = 1}},
        {{.main_exited = true}},
        {ACTIVE(0)},
        {ACTIVE(10)},
        {ACTIVE(1), ACTIVE(2)},
        {STARTING(1), STARTING(2)},
        {ACTIVE(1), DRAINING(1)},
        {{.stage = HF_STAGE_ACTIVE, .number = 1, .main_exited = true}},
        {{.stage = HF_STAGE_SETTLE, .number = 1, .main_exited = true}},
        {{.stage = HF_STAGE_RETIRE, .number = 1, .main_exited = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfMachine machine = {PHASE(IDLE), .planned = true};
        if (rows[i][0].stage == HF_STAGE_STARTING)
            machine.phase = HF_PHASE_STARTING;
        else if (rows[i][0].stage != HF_STAGE_ACTIVE)
            machine.generations[7] = (HfMachineGeneration)ACTIVE(9);
        machine.generations[0] = rows[i][0];
        machine.generations[1] = rows[i][1];
        if (hf_machine_is_sound(&machine))
            fail_msg("row %zu", i);
    }
}

static bool does(const HfActions *actions, HfActionType type, unsigned slot)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].type == type && actions->list[i].slot == slot)
            return true;
    return false;
}

static void failures_are_counted_no_further_than_the_counter_goes(void **state)
{
    HfMachine crashing = {PHASE(IDLE), .planned = true, .limits = limits, .failures = UINT32_MAX};
    HfMachine resuming = crashing;
    HfActions actions;

    (void)state;
    crashing.generations[0] = (HfMachineGeneration)ACTIVE(1);
    hf_machine_step(&crashing, &(HfEvent){.type = HF_EVENT_MAIN_EXITED, .number = 1}, &actions);
    assert_int_equal(crashing.failures, UINT32_MAX);
    resuming.generations[0] = (HfMachineGeneration)ACTIVE(2);
    resuming.generations[1] = (HfMachineGeneration)SETTLING(1);
    hf_machine_step(&resuming, &(HfEvent){.type = HF_EVENT_MAIN_EXITED, .number = 2}, &actions);
    assert_int_equal(resuming.failures, UINT32_MAX);
}

static void the_youngest_that_settles_serves_on(void **state)
{
    HfMachine machine = {PHASE(IDLE), .planned = true, .limits = limits,
                         .generations = {SETTLING(1), ACTIVE(4), SETTLING(3), SETTLING(2)}};
    HfActions actions;

    (void)state;
    hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_MAIN_EXITED, .slot = 1, .number = 4},
                    &actions);
    assert_int_equal(machine.generations[2].stage, HF_STAGE_ACTIVE);
    assert_int_equal(machine.generations[0].stage, HF_STAGE_SETTLE);
    assert_int_equal(machine.generations[3].stage, HF_STAGE_SETTLE);
    assert_true(does(&actions, HF_ACTION_REPORT, 2));
    assert_false(does(&actions, HF_ACTION_SPAWN, 0));
}

static void what_has_not_begun_is_not_adopted(void **state)
{
    HfMachine machine;
    HfActions actions;

    (void)state;
    hf_machine_init(&machine, &limits);
    hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_ADOPT}, &actions);
    assert_int_equal(machine.phase, HF_PHASE_NEW);
    assert_false(does(&actions, HF_ACTION_PREPARE, 0));
    for (size_t i = 0; i < actions.n; i++)
        assert_int_not_equal(actions.list[i].type, HF_ACTION_REPORT);
}

/* A limit of 0 elapses at once; it does not mean that there is none. */
static void no_patience_is_a_limit(void **state)
{
    HfMachine machine = {PHASE(IDLE), .planned = true, .limits = limits,
                         .generations = {ACTIVE(1)}};
    HfActions actions;
    unsigned armed = 0;

    (void)state;
    machine.limits.drain_timeout = 0;
    hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_MAIN_EXITED, .slot = 0, .number = 1},
                    &actions);
    assert_int_equal(machine.generations[0].stage, HF_STAGE_STOP);
    for (size_t i = 0; i < actions.n; i++)
        armed += actions.list[i].type == HF_ACTION_ARM &&
                 actions.list[i].timer == HF_TIMER_DEADLINE && actions.list[i].slot == 0 &&
                 actions.list[i].usec == 0;
    assert_int_equal(armed, 1);
}

/* What is let go is of another kind of service than its successor, and cannot retire. */
static void only_what_can_retire_is_let_go_gently(void **state)
{
    HfMachine machine = {PHASE(STARTING), .prepared = true,
                         .planned = true, .limits = limits,
                         .next = limits,  .generations = {ACTIVE(1), STARTING(2)}};
    HfActions actions;

    (void)state;
    machine.limits.retires = machine.limits.gentle = false;
    hf_machine_step(&machine, &(HfEvent){.type = HF_EVENT_READY, .slot = 1, .number = 2}, &actions);
    assert_true(machine.limits.gentle);
    assert_int_equal(machine.generations[0].stage, HF_STAGE_STOP);
}

/* Who settles beside the active one is not left behind on its side, and who was switched from is in
 * nobody's way. */
static void who_settles_beside_is_waited_for(void **state)
{
    static const struct {
        unsigned side;
        bool switches;
        HfPhase phase;
    } rows[] = {{0, true, HF_PHASE_WAITING},
                {0, false, HF_PHASE_STARTING},
                {1, true, HF_PHASE_STARTING},
                {1, false, HF_PHASE_STARTING}};
    HfActions actions;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfMachine machine = {PHASE(PREPARING),         .planned = true,
                             .limits = limits,         .side = rows[i].side,
                             .switches = true,         .next = limits,
                             .cause = HF_CAUSE_RELOAD, .generations = {SETTLING(1), ACTIVE(2)}};
        machine.generations[1].side = rows[i].side;
        const HfEvent prepared = {.type = HF_EVENT_PREPARED, .switches = rows[i].switches};
        hf_machine_step(&machine, &prepared, &actions);
        assert_int_equal(machine.phase, rows[i].phase);
        assert_int_equal(machine.generations[0].stage, HF_STAGE_SETTLE);
    }
}

/* What is left without a main process serves on, unless holdfast is to leave with it, or it cannot
 * be let go gently. */
static void what_is_left_serves_on_where_it_can(void **state)
{
    static const struct {
        bool retires, leaves;
    } rows[] = {{true, false}, {true, true}, {false, false}};
    HfActions actions;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        HfMachine machine = {PHASE(IDLE), .planned = true, .switches = true, .limits = limits,
                             .generations = {ACTIVE(1)}};
        bool serves = rows[i].retires && !rows[i].leaves;
        machine.limits.retires = rows[i].retires;
        machine.limits.exit_with_service = rows[i].leaves;
        hf_machine_step(&machine,
                        &(HfEvent){.type = HF_EVENT_MAIN_EXITED, .number = 1, .remain = true},
                        &actions);
        assert_int_equal(machine.generations[0].stage, serves ? HF_STAGE_ACTIVE : HF_STAGE_STOP);
        assert_int_equal(machine.phase == HF_PHASE_STOPPING, rows[i].leaves);
    }
}

static void nothing_is_upgraded_while_a_stop_waits(void **state)
{
    HfMachine machine = {PHASE(IDLE),
                         .planned = true,
                         .limits = limits,
                         .generations = {ACTIVE(1)},
                         .upgrade = HF_UPGRADE_WANTED,
                         .wait = HF_WAIT_DELAY};
    HfActions actions = {0};

    (void)state;
    hf_machine_settle_upgrade(&machine, &actions);
    assert_int_equal(machine.upgrade, HF_UPGRADE_WANTED);
    machine.wait = HF_WAIT_NONE;
    hf_machine_settle_upgrade(&machine, &actions);
    assert_int_not_equal(machine.upgrade, HF_UPGRADE_WANTED);
}

static void programming_errors_assert(void **state)
{
    HfMachine machine = {PHASE(IDLE), .limits = limits, .generations = {ACTIVE(1)}};
    HfActions actions;
    const HfEvent unknown = {.type = HF_EVENT_MAX_};
    const HfEvent slot = {.type = HF_EVENT_READY, .slot = HF_MACHINE_SLOTS};

    (void)state;
    expect_assert_failure(hf_machine_step(&machine, &unknown, &actions));
    expect_assert_failure(hf_machine_step(&machine, &slot, &actions));
    const HfEvent timer = {.type = HF_EVENT_TIMER, .timer = HF_TIMER_MAX_};
    expect_assert_failure(hf_machine_step(&machine, &timer, &actions));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_states),
        cmocka_unit_test(unsound_phases),
        cmocka_unit_test(unsound_generations),
        cmocka_unit_test(failures_are_counted_no_further_than_the_counter_goes),
        cmocka_unit_test(the_youngest_that_settles_serves_on),
        cmocka_unit_test(what_has_not_begun_is_not_adopted),
        cmocka_unit_test(no_patience_is_a_limit),
        cmocka_unit_test(only_what_can_retire_is_let_go_gently),
        cmocka_unit_test(who_settles_beside_is_waited_for),
        cmocka_unit_test(what_is_left_serves_on_where_it_can),
        cmocka_unit_test(nothing_is_upgraded_while_a_stop_waits),
        cmocka_unit_test(programming_errors_assert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
