/* SPDX-License-Identifier: MIT */
/* The pool of our own that looks at the opcode cache, and the pages that were asked for last. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/adapter.h"
#include "service/php_fpm/php_fpm.h"

static void a_section_has_the_identity_of_its_pool(void **state)
{
    HfPlanPool pool = {.user = (char[]){"www-data"}, .group = (char[]){"web"}};
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText jailed = {0};
    HF_CLEANUP_TEXT HfText idle = {0};
    HF_CLEANUP_TEXT HfText bad = {0};

    (void)state;
    assert_int_equal(hf_phpfpm_warm_section(&pool, 3, "/run/x/7-a", true, "0600", &text), 0);
    assert_non_null(strstr(text.data, "[holdfast-warm-3]\nuser = www-data\ngroup = web\n"
                                      "listen = /run/x/7-a.w3\nlisten.mode = 0600\n"));
    assert_non_null(strstr(text.data, "[holdfast-keep-3]\nuser = www-data\ngroup = web\n"
                                      "listen = /run/x/7-a.k3\nlisten.mode = 0600\n"
                                      "pm = static\npm.max_children = 1\n"));
    assert_null(strstr(text.data, "chroot"));
    assert_non_null(strstr(text.data, "php_admin_value[auto_prepend_file] = none\n"));
    pool.chroot = (char[]){"/srv/a b"};
    pool.user = (char[]){""};
    assert_int_equal(hf_phpfpm_warm_section(&pool, 0, "/run/x/7-a", true, "0600", &jailed), 0);
    assert_non_null(strstr(jailed.data, "[holdfast-warm-0]\ngroup = web\nchroot = '/srv/a b'\n"));
    assert_int_equal(hf_phpfpm_warm_section(&pool, 0, "/run/x/7-a", false, "0600", &idle), 0);
    assert_non_null(strstr(idle.data, "[holdfast-warm-0]\n"));
    assert_null(strstr(idle.data, "[holdfast-keep-"));
    pool.chroot = (char[]){"/srv\n"};
    assert_int_equal(hf_phpfpm_warm_section(&pool, 0, "/run/x/7-a", true, "0600", &bad), -EINVAL);
    pool.group = (char[]){"g\n"};
    assert_int_equal(hf_phpfpm_warm_section(&pool, 0, "/run/x/7-a", true, "0600", &bad), -EINVAL);
    pool.user = (char[]){"u\n"};
    assert_int_equal(hf_phpfpm_warm_section(&pool, 0, "/run/x/7-a", true, "0600", &bad), -EINVAL);
}

static void few_on_demand_keep_a_process(void **state)
{
    HfPlanPool pools[10] = {{.warms = true}};
    const HfPlan plan = {.pools = pools, .n_pools = 10};

    (void)state;
    for (size_t i = 1; i < 10; i++) {
        pools[i].on_demand = true;
        pools[i].warms = i < 9; /* the last one shares an identity */
    }
    assert_true(hf_plan_keeps(&plan, 0));
    assert_true(hf_plan_keeps(&plan, 1));
    pools[9].warms = true;
    assert_true(hf_plan_keeps(&plan, 0));
    assert_false(hf_plan_keeps(&plan, 1));
}

static void pools_share_an_identity(void **state)
{
    HfPlanPool a = {.user = (char[]){"u"}, .group = (char[]){"g"}, .chroot = (char[]){""}};
    HfPlanPool b = a;

    (void)state;
    assert_true(hf_plan_pools_share(&a, &b));
    b.chroot = (char[]){"/x"};
    assert_false(hf_plan_pools_share(&a, &b));
    b.group = (char[]){"h"};
    assert_false(hf_plan_pools_share(&a, &b));
    b.user = NULL; /* of an older holdfast's snapshot */
    assert_false(hf_plan_pools_share(&a, &b));
    assert_false(hf_plan_pools_share(&b, &a));
}

static void a_plan_warms_where_it_switches(void **state)
{
    HfPlanPool pools[2] = {0};
    HfPlan plan = {.pools = pools, .n_pools = 2};

    (void)state;
    pools[1].warms = true;
    assert_false(hf_plan_warms(&plan));
    plan.switches = true;
    assert_true(hf_plan_warms(&plan));
    pools[1].warms = false;
    assert_false(hf_plan_warms(&plan));
}

static void take(const char *uri, const char *script, void *userdata)
{
    hf_text_addf(userdata, "%s %s;", uri, script);
}

static void recent_pages(void **state)
{
    static const char page[] = "pool:                 www\n"
                               "request method:       GET\n"
                               "request URI:          /a?x=1\n"
                               "script:               /srv/a.php\n"
                               "request method:       POST\n"
                               "request URI:          /post\n"
                               "script:               /srv/b.php\n"
                               "request method:       GET\n"
                               "request URI:          -\n"
                               "script:               -\n"
                               "request method:       GET\n"
                               "request URI:          no\n"
                               "script:               /srv/c.php\n"
                               "request method:       GET\n"
                               "request URI:          /nul\0x\n"
                               "script:               /srv/c.php\n"
                               "request method:       GET\n"
                               "request URI:          /bell\a\n"
                               "script:               /srv/c.php\n"
                               "request method:       GET\n"
                               "request URI:          /d\n"
                               "script:               /srv/d.php";
    HF_CLEANUP_TEXT HfText found = {0};
    HF_CLEANUP_TEXT HfText large = {0};

    (void)state;
    hf_phpfpm_recent(page, sizeof(page) - 1, take, &found);
    assert_string_equal(hf_text_peek(&found), "/a?x=1 /srv/a.php;/d /srv/d.php;");
    hf_text_clear(&found);
    hf_text_add(&large, "request method: GET\nrequest URI: /");
    for (unsigned i = 0; i < 5000; i++)
        hf_text_add(&large, "x");
    hf_text_add(&large, "\nscript: /a\n");
    hf_phpfpm_recent(large.data, large.length, take, &found);
    assert_string_equal(hf_text_peek(&found), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_has_the_identity_of_its_pool),
        cmocka_unit_test(few_on_demand_keep_a_process),
        cmocka_unit_test(pools_share_an_identity),
        cmocka_unit_test(a_plan_warms_where_it_switches),
        cmocka_unit_test(recent_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
