/* SPDX-License-Identifier: MIT */
#include "kernel/credentials.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/text.h"
#include "kernel/account.h"

#define GROUPS_FIRST 32
#define GROUPS_MAX   65536 /* NGROUPS_MAX of Linux */
#define SET_BITS     64

void hf_credentials_clear(HfCredentials *credentials)
{
    free(credentials->groups);
    hf_strv_free(credentials->environment);
    *credentials = HF_CREDENTIALS_NONE;
}

static int list_groups(const char *name, gid_t gid, gid_t **ret, size_t *ret_n)
{
    for (int n = GROUPS_FIRST; n <= GROUPS_MAX;) {
        HF_CLEANUP_FREE gid_t *groups = hf_allocate((size_t)n, sizeof(*groups));
        int found = n;

        if (!groups)
            return -ENOMEM;
        if (getgrouplist(name, gid, groups, &found) >= 0) {
            *ret = HF_STEAL(groups);
            *ret_n = (size_t)found;
            return 0;
        }
        n = found > n ? found : 2 * n;
    }
    return -E2BIG;
}

static int make_environment(const HfAccount *account, char ***ret)
{
    const struct {
        const char *name;
        const char *value;
    } entries[] = {{"USER", account->name}, {"LOGNAME", account->name}, {"HOME", account->home}};
    HF_CLEANUP_STRV char **environment = NULL;

    for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
        if (hf_strv_addf(&environment, "%s=%s", entries[i].name, entries[i].value) < 0)
            return -ENOMEM;
    *ret = HF_STEAL(environment);
    return 0;
}

static int take_account(HfCredentials *credentials, const HfAccount *account)
{
    HF_CLEANUP_STRV char **environment = NULL;
    gid_t *groups = NULL;
    size_t n = 0;

    int r = account->name ? make_environment(account, &environment) : 0;
    if (r >= 0 && account->name)
        r = list_groups(account->name, account->gid, &groups, &n);
    if (r < 0)
        return r;
    free(credentials->groups);
    credentials->groups = groups;
    credentials->n_groups = n;
    hf_strv_free(credentials->environment);
    credentials->environment = HF_STEAL(environment);
    credentials->has_user = true;
    credentials->uid = account->uid;
    if (account->gid != (gid_t)-1) {
        credentials->has_group = true;
        credentials->gid = account->gid;
    }
    return 0;
}

int hf_credentials_set_user(HfCredentials *credentials, const char *user)
{
    HfAccount account = {0};

    int r = hf_account_find(user, &account);
    if (r >= 0)
        r = take_account(credentials, &account);
    hf_account_clear(&account);
    return r;
}

bool hf_credentials_are_own(const HfCredentials *credentials)
{
    uid_t uids[3];
    gid_t gids[3];

    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++)
        if ((credentials->has_user && uids[i] != credentials->uid) ||
            (credentials->has_group && gids[i] != credentials->gid))
            return false;
    return true;
}

/* Dropping one from the inheritable set drops it from the ambient set as well. */
static int narrow_inheritable(uint64_t capabilities)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, sets) < 0)
        return -errno;
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        sets[i].inheritable &= (uint32_t)(capabilities >> (32 * i));
    return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

int hf_credentials_narrow(const HfCredentials *credentials)
{
    if (credentials->capabilities == UINT64_MAX)
        return 0;
    for (unsigned long i = 0; i < SET_BITS; i++) {
        if (credentials->capabilities >> i & 1)
            continue;
        int bounded = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
        if (bounded < 0) /* beyond the last one that the kernel knows */
            break;
        if (bounded > 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return -errno;
    }
    return narrow_inheritable(credentials->capabilities);
}

int hf_credentials_enter(const HfCredentials *credentials)
{
    if (credentials->has_user && setgroups(credentials->n_groups, credentials->groups) < 0)
        return -errno;
    if (credentials->has_group &&
        setresgid(credentials->gid, credentials->gid, credentials->gid) < 0)
        return -errno;
    if (credentials->has_user &&
        setresuid(credentials->uid, credentials->uid, credentials->uid) < 0)
        return -errno;
    if (credentials->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}
