/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parts/events/events.h"

static void the_last_hundred_are_kept(void **state)
{
    HfHistory history = {0};

    (void)state;
    for (uint64_t i = 1; i <= 105; i++) {
        hf_history_start(&history, i, i == 1 ? HF_CAUSE_START : HF_CAUSE_RELOAD);
        hf_history_ready(&history, i);
        if (i > 1)
            hf_history_end(&history, i - 1, "exited with status 0");
    }
    assert_int_equal(history.n, HF_HISTORY_MAX);
    assert_int_equal(hf_history_get(&history, 0)->number, 6);
    assert_int_equal(hf_history_get(&history, HF_HISTORY_MAX - 1)->number, 105);
    assert_null(hf_history_find(&history, 5));
    assert_int_equal(hf_history_find(&history, 6)->number, 6);
    assert_int_equal(history.replaced[HF_CAUSE_START], 1);
    assert_int_equal(history.replaced[HF_CAUSE_RELOAD], 104);
    hf_history_clear(&history);
}

static void a_life(void **state)
{
    HfHistory history = {0};

    (void)state;
    hf_history_start(&history, 7, HF_CAUSE_START);
    const HfHistoryEntry *entry = hf_history_get(&history, 0);
    assert_true(entry->started > 0);
    assert_int_equal(entry->ready, 0);
    assert_int_equal(entry->ended, 0);
    assert_null(entry->end);
    hf_history_ready(&history, 7);
    assert_true(entry->ready >= entry->started);
    assert_int_equal(history.replaced_at, 0);
    hf_history_count(&history, 7, 5);
    hf_history_count(&history, 7, 3);
    assert_int_equal(entry->processes, 5);
    hf_history_end(&history, 7, "was killed by\x1b[31m signal 9\nand more");
    assert_string_equal(entry->end, "was killed by?[31m signal 9");
    uint64_t ended = entry->ended;
    hf_history_end(&history, 7, "again");
    assert_int_equal(entry->ended, ended);
    assert_string_equal(entry->end, "was killed by?[31m signal 9");
    hf_history_clear(&history);
}

static void who_is_unknown_changes_nothing(void **state)
{
    HfHistory history = {0};

    (void)state;
    hf_history_ready(&history, 1);
    hf_history_count(&history, 1, 1);
    hf_history_end(&history, 1, "");
    assert_int_equal(history.n, 0);
    assert_int_equal(history.replaced[HF_CAUSE_START], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_hundred_are_kept),
        cmocka_unit_test(a_life),
        cmocka_unit_test(who_is_unknown_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
