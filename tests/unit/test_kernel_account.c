/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/account.h"

#define UNTOUCHED 4242

static void test_user_by_name(void **state)
{
    uid_t uid = UNTOUCHED;
    gid_t gid = UNTOUCHED;

    (void)state;
    assert_int_equal(hf_account_user("root", &uid, &gid), 0);
    assert_int_equal(uid, 0);
    assert_int_equal(gid, 0);

    const struct passwd *games = getpwnam("games");
    assert_non_null(games);
    assert_int_equal(hf_account_user("games", &uid, &gid), 0);
    assert_int_equal(uid, games->pw_uid);
    assert_int_equal(gid, games->pw_gid);
    uid = UNTOUCHED;
    assert_int_equal(hf_account_user("games", &uid, NULL), 0);
    assert_int_equal(uid, games->pw_uid);
}

static void test_user_by_number(void **state)
{
    uid_t uid = UNTOUCHED;
    gid_t gid = UNTOUCHED;
    char number[16];

    (void)state;
    const struct passwd *games = getpwnam("games");
    assert_non_null(games);
    snprintf(number, sizeof(number), "%u", games->pw_uid);
    assert_int_equal(hf_account_user(number, &uid, &gid), 0);
    assert_int_equal(uid, games->pw_uid);
    assert_int_equal(gid, games->pw_gid);

    assert_null(getpwuid(4000000001));
    assert_int_equal(hf_account_user("4000000001", &uid, &gid), 0);
    assert_int_equal(uid, 4000000001);
    assert_int_equal(gid, (gid_t)-1);
}

static void test_group(void **state)
{
    gid_t gid = UNTOUCHED;

    (void)state;
    const struct group *tty = getgrnam("tty");
    assert_non_null(tty);
    assert_int_equal(hf_account_group("tty", &gid), 0);
    assert_int_equal(gid, tty->gr_gid);
    assert_int_equal(hf_account_group("4000000001", &gid), 0);
    assert_int_equal(gid, 4000000001);
    assert_int_equal(hf_account_group("0", &gid), 0);
    assert_int_equal(gid, 0);
}

static void test_refused(void **state)
{
    static char long_name[100000];
    const struct {
        const char *name;
        int error;
    } table[] = {
        {"no-such-account", -ENOENT},
        {"", -ENOENT},
        {"root ", -ENOENT},
        {" root", -ENOENT},
        {"-1", -ENOENT},
        {"+0", -ENOENT},
        {"0x0", -ENOENT},
        {"root:x", -ENOENT},
        {"root\n", -ENOENT},
        {long_name, -ENOENT},
        {"4294967295", -ERANGE}, /* what chown(2) takes for "leave" */
        {"4294967296", -ERANGE},
        {"99999999999999999999999", -ERANGE},
    };

    (void)state;
    memset(long_name, 'a', sizeof(long_name) - 1);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        uid_t uid = UNTOUCHED;
        gid_t gid = UNTOUCHED;

        assert_int_equal(hf_account_user(table[i].name, &uid, &gid), table[i].error);
        assert_int_equal(hf_account_group(table[i].name, &gid), table[i].error);
        assert_int_equal(uid, UNTOUCHED);
        assert_int_equal(gid, UNTOUCHED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user_by_name),
        cmocka_unit_test(test_user_by_number),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
