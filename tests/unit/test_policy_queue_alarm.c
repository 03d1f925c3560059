/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/queue_alarm.h"

static HfQueueAlarmChange samples(HfQueueAlarm *alarm, uint32_t depth, uint32_t limit, unsigned n)
{
    HfQueueAlarmChange change = HF_ALARM_UNCHANGED;

    while (n-- > 0)
        change = hf_queue_alarm_step(alarm, depth, limit, 80);
    return change;
}

static void is_raised_by_three_in_a_row_and_said_once(void **state)
{
    HfQueueAlarm alarm = {0};

    (void)state;
    assert_int_equal(samples(&alarm, 80, 100, 2), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 79, 100, 1), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 80, 100, 2), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 80, 100, 1), HF_ALARM_RAISED);
    for (int i = 0; i < 300; i++)
        assert_int_equal(samples(&alarm, 100, 100, 1), HF_ALARM_UNCHANGED);
}

/* What is said in each state that samples lead to, at each depth: breadth first, from the first. */
static void is_right_in_every_state(void **state)
{
    enum { STATES = 64 };
    HfQueueAlarm known[STATES] = {{0}};
    size_t n = 1;

    (void)state;
    for (size_t at = 0; at < n; at++)
        for (uint32_t depth = 0; depth <= 10; depth++) {
            HfQueueAlarm alarm = known[at];
            HfQueueAlarmChange change = hf_queue_alarm_step(&alarm, depth, 10, 80);
            bool raises =
                !known[at].raised && depth >= 8 && known[at].above >= HF_ALARM_SAMPLES - 1;
            bool clears = known[at].raised && depth < 4 && known[at].below >= HF_ALARM_SAMPLES - 1;
            assert_int_equal(change, raises   ? HF_ALARM_RAISED
                                     : clears ? HF_ALARM_CLEARED
                                              : HF_ALARM_UNCHANGED);
            assert_int_equal(alarm.raised, (known[at].raised || raises) && !clears);
            assert_true(alarm.above == 0 || depth >= 8);
            assert_true(alarm.below == 0 || depth < 4);
            size_t same = 0;
            while (same < n &&
                   (known[same].above != alarm.above || known[same].below != alarm.below ||
                    known[same].raised != alarm.raised))
                same++;
            assert_true(same < STATES);
            if (same == n)
                known[n++] = alarm;
        }
    assert_int_equal(n, 12);
}

static void is_cleared_below_half_of_what_raises_it(void **state)
{
    HfQueueAlarm alarm = {0};

    (void)state;
    samples(&alarm, 100, 100, 3);
    assert_int_equal(samples(&alarm, 40, 100, 9), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 39, 100, 2), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 40, 100, 1), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 39, 100, 3), HF_ALARM_CLEARED);
    assert_int_equal(samples(&alarm, 80, 100, 3), HF_ALARM_RAISED);
}

static void takes_the_smallest_and_the_largest_numbers(void **state)
{
    HfQueueAlarm alarm = {0};

    (void)state;
    assert_int_equal(samples(&alarm, 0, 0, 9), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, UINT32_MAX, UINT32_MAX, 3), HF_ALARM_RAISED);
    /* a queue of one is empty, or full */
    assert_int_equal(samples(&alarm, 1, 1, 9), HF_ALARM_UNCHANGED);
    assert_int_equal(samples(&alarm, 0, 1, 3), HF_ALARM_CLEARED);
    /* nothing is less than half of one percent of it */
    assert_int_equal(samples(&alarm, 1, 1, 3), HF_ALARM_RAISED);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hf_queue_alarm_step(&alarm, 0, 1, 1), HF_ALARM_UNCHANGED);
    assert_int_equal(hf_queue_alarm_step(&alarm, 0, 1, 1), HF_ALARM_CLEARED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_raised_by_three_in_a_row_and_said_once),
        cmocka_unit_test(is_right_in_every_state),
        cmocka_unit_test(is_cleared_below_half_of_what_raises_it),
        cmocka_unit_test(takes_the_smallest_and_the_largest_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
