/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "format/cgroup.h"

static const struct {
    const char *text;
    const char *unit; /* NULL: none */
} cases[] = {
    {"0::/system.slice/php8.2-fpm.service\n", "php8.2-fpm.service"},
    {"12:cpuset:/\n1:name=systemd:/system.slice/php8.2-fpm.service\n0::/\n", "php8.2-fpm.service"},
    {"0::/system.slice/system-php.slice/php@a\\x2db.service", "php@a\\x2db.service"},
    {"0::/system.slice/php.service/workers\n", "php.service"},
    {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/php.service\n", "php.service"},
    {"4:memory:/system.slice/other.service\n0::/user.slice/user-0.slice/session-1.scope\n", NULL},
    {"0::/\n", NULL},
    {"0::/.service\n", NULL},
    {"0::\n", NULL},
    {"", NULL},
    {"nonsense", NULL},
    {":::\n\n\n0::/a.services/b\n", NULL},
};

static void the_innermost_service_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char unit[HF_UNIT_MAX] = "untouched";
        int r = hf_unit_of_cgroup(cases[i].text, unit);

        assert_int_equal(r, cases[i].unit ? 0 : -ENOENT);
        assert_string_equal(unit, cases[i].unit ? cases[i].unit : "untouched");
    }
}

static void a_name_that_is_too_long_is_none(void **state)
{
    (void)state;
    char text[600] = "0::/";
    char unit[HF_UNIT_MAX];

    memset(text + 4, 'x', 300);
    strcpy(text + 304, ".service\n");
    assert_int_equal(hf_unit_of_cgroup(text, unit), -ENOENT);
    memset(text + 4, 'x', HF_UNIT_MAX - 9);
    strcpy(text + 4 + HF_UNIT_MAX - 9, ".service");
    assert_int_equal(hf_unit_of_cgroup(text, unit), 0);
    assert_int_equal(strlen(unit), HF_UNIT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_innermost_service_counts),
        cmocka_unit_test(a_name_that_is_too_long_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
