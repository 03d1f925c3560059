/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>

#include "base/parse.h"
#include "policy/backoff.h"

static void delays_double_up_to_the_maximum(void **state)
{
    (void)state;
    static const uint64_t expected_msec[] = {0,    0,    100,   200,   400,   800,   1600,
                                             3200, 6400, 12800, 25600, 30000, 30000, 30000};
    for (unsigned failures = 0; failures < sizeof(expected_msec) / sizeof(uint64_t); failures++)
        assert_int_equal(hf_backoff_delay(failures, 30 * HF_USEC_PER_SEC),
                         expected_msec[failures] * HF_USEC_PER_MSEC);
    assert_int_equal(hf_backoff_delay(UINT_MAX, 30 * HF_USEC_PER_SEC), 30 * HF_USEC_PER_SEC);
}

static void any_maximum_is_kept(void **state)
{
    (void)state;
    static const uint64_t maxima[] = {0, 1, 99999, 100000, 100001, HF_USEC_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof(maxima) / sizeof(*maxima); i++) {
        uint64_t before = 0;
        for (unsigned failures = 1; failures < 200; failures++) {
            uint64_t delay = hf_backoff_delay(failures, maxima[i]);
            assert_true(delay <= maxima[i]);
            assert_true(delay >= before);
            before = delay;
        }
        assert_true(before == maxima[i]);
    }
}

static void jitter_stays_in_the_upper_half(void **state)
{
    (void)state;
    static const uint64_t randoms[] = {0,         1, 2, 12345678901234567890ULL, UINT64_MAX - 1,
                                       UINT64_MAX};
    static const uint64_t delays[] = {0, 1, 2, 3, 100000, HF_USEC_MAX, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(delays) / sizeof(*delays); i++)
        for (size_t k = 0; k < sizeof(randoms) / sizeof(*randoms); k++) {
            uint64_t delay = hf_backoff_jitter(delays[i], randoms[k]);
            assert_true(delay >= delays[i] / 2);
            assert_true(delay <= delays[i]);
        }
}

static void jitter_reaches_both_ends(void **state)
{
    (void)state;
    assert_int_equal(hf_backoff_jitter(100, 0), 50);
    assert_int_equal(hf_backoff_jitter(100, 50), 100);
    assert_int_equal(hf_backoff_jitter(100, 51), 50);
    assert_int_equal(hf_backoff_jitter(7, 4), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_the_maximum),
        cmocka_unit_test(any_maximum_is_kept),
        cmocka_unit_test(jitter_stays_in_the_upper_half),
        cmocka_unit_test(jitter_reaches_both_ends),
    };
    return cmocka_run_group_tests_name("core/backoff", tests, NULL, NULL);
}
