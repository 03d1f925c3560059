/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/capability.h>
#include <string.h>

#include "parts/privileges/capability_needs.h"

#define BIT(number) (UINT64_C(1) << (number))

static void nothing_is_needed_for_nothing(void **state)
{
    (void)state;
    assert_true(hf_capability_needs_of(&(HfCapabilityNeedFacts){0}) == 0);
}

static void facts_add_up(void **state)
{
    (void)state;
    const HfCapabilityNeedFacts facts = {.service = true, .low_port = true, .user = true};

    assert_true(hf_capability_needs_of(&facts) ==
                (BIT(CAP_KILL) | BIT(CAP_SYS_PTRACE) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETUID) |
                 BIT(CAP_SETGID)));
}

/* What is found is needed, and what is needed is found. */
static void a_missing_one_has_its_reason(void **state)
{
    (void)state;
    const HfCapabilityNeedFacts facts = {.foreign_directory = true};

    const HfCapabilityNeed *found = hf_capability_need_find(&facts, BIT(CAP_DAC_OVERRIDE));
    assert_non_null(found);
    assert_int_equal(found->capability, CAP_DAC_OVERRIDE);
    assert_non_null(strstr(found->why, "directory"));
    assert_null(hf_capability_need_find(&facts, BIT(CAP_CHOWN)));
    assert_null(hf_capability_need_find(&facts, 0));
}

static void every_fact_has_a_purpose(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(HfCapabilityNeedFacts); i++) {
        HfCapabilityNeedFacts facts = {0};
        ((bool *)&facts)[i] = true;
        assert_true(hf_capability_needs_of(&facts) != 0);
    }
    for (size_t i = 0; i < hf_capability_need_count; i++)
        assert_int_equal(strncmp(hf_capability_needs[i].why, "to ", 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_needed_for_nothing),
        cmocka_unit_test(facts_add_up),
        cmocka_unit_test(a_missing_one_has_its_reason),
        cmocka_unit_test(every_fact_has_a_purpose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
