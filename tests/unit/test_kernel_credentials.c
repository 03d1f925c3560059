/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/syscall.h>

#include "kernel/credentials.h"

static int expect_groups(const void *wanted)
{
    const HfCredentials *credentials = wanted;
    gid_t groups[8];

    if (setgroups(1, (const gid_t[]){4242}) < 0)
        return errno == EPERM ? 0 : 90;
    if (hf_credentials_enter(credentials) < 0)
        return 91;
    if (getgroups(8, groups) != (int)credentials->n_groups)
        return 92;
    for (size_t i = 0; i < credentials->n_groups; i++)
        if (groups[i] != credentials->groups[i])
            return 93;
    return hf_credentials_are_own(credentials) ? 0 : 94;
}

/* Nothing of what the caller was a member of stays. */
static void test_groups_are_the_users(void **state)
{
    gid_t groups[] = {1234, 5678};
    HfCredentials credentials = HF_CREDENTIALS_NONE;

    (void)state;
    credentials.has_user = credentials.has_group = true;
    credentials.uid = credentials.gid = 65534;
    in_fork(expect_groups, &credentials);
    credentials.groups = groups;
    credentials.n_groups = 2;
    in_fork(expect_groups, &credentials);
}

static int expect_inheritable(const void *wanted)
{
    const HfCredentials *credentials = wanted;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, sets) < 0)
        return 90;
    sets[0].inheritable = 1U << CAP_CHOWN | 1U << CAP_KILL;
    sets[1].inheritable = 1U << (CAP_SYSLOG - 32);
    if (syscall(SYS_capset, &header, sets) < 0)
        return errno == EPERM ? 0 : 91;
    if (hf_credentials_narrow(credentials) < 0)
        return 92;
    if (syscall(SYS_capget, &header, sets) < 0)
        return 93;
    return sets[0].inheritable == 1U << CAP_KILL && sets[1].inheritable == 0 ? 0 : 94;
}

/* What it may not have could come back to it by a file that has it inheritable. */
static void test_the_inheritable_set_is_narrowed(void **state)
{
    HfCredentials credentials = HF_CREDENTIALS_NONE;

    (void)state;
    credentials.capabilities = UINT64_C(1) << CAP_KILL | UINT64_C(1) << CAP_SETUID;
    in_fork(expect_inheritable, &credentials);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_are_the_users),
        cmocka_unit_test(test_the_inheritable_set_is_narrowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
