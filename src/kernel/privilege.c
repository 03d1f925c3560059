/* SPDX-License-Identifier: MIT */
#include "kernel/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "kernel/file.h"

#define FIRST_PORT_FILE    "/proc/sys/net/ipv4/ip_unprivileged_port_start"
#define FIRST_PORT_DEFAULT 1024
#define SET_BITS           64

static void free_sets(cap_t *sets)
{
    if (*sets)
        cap_free(*sets);
}
#define CLEANUP_SETS __attribute__((cleanup(free_sets)))

static bool is_set(cap_t sets, cap_flag_t flag, int capability)
{
    cap_flag_value_t value = CAP_CLEAR;

    return cap_get_flag(sets, capability, flag, &value) == 0 && value == CAP_SET;
}

bool hf_privilege_has(int capability)
{
    CLEANUP_SETS cap_t sets = cap_get_proc();

    return sets && is_set(sets, CAP_EFFECTIVE, capability);
}

static uint64_t mask_of(cap_t sets, cap_flag_t flag)
{
    uint64_t mask = 0;

    for (int i = 0; i < SET_BITS; i++)
        if (is_set(sets, flag, i))
            mask |= UINT64_C(1) << i;
    return mask;
}

int hf_privilege_permitted(uint64_t *ret)
{
    CLEANUP_SETS cap_t sets = cap_get_proc();

    if (!sets)
        return -errno;
    *ret = mask_of(sets, CAP_PERMITTED);
    return 0;
}

int hf_privilege_keep(uint64_t capabilities)
{
    CLEANUP_SETS cap_t sets = cap_get_proc();

    if (!sets)
        return -errno;
    for (int i = 0; i < SET_BITS; i++) {
        cap_value_t value = i;
        bool keep = (capabilities >> i & 1) && is_set(sets, CAP_PERMITTED, i);
        /* -EINVAL for those that libcap does not know: they are in no set */
        (void)cap_set_flag(sets, CAP_EFFECTIVE, 1, &value, keep ? CAP_SET : CAP_CLEAR);
        (void)cap_set_flag(sets, CAP_PERMITTED, 1, &value, keep ? CAP_SET : CAP_CLEAR);
    }
    if (cap_set_proc(sets) < 0)
        return -errno;

    CLEANUP_SETS cap_t left = cap_get_proc();
    if (!left)
        return -errno;
    uint64_t found = mask_of(left, CAP_PERMITTED) | mask_of(left, CAP_EFFECTIVE);
    return (found & ~capabilities) == 0 ? 0 : -EPERM;
}

bool hf_privilege_returns(void)
{
    int bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);

    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && bits >= 0 && (bits & SECBIT_NOROOT) == 0;
}

/* Effective only, so that it can be taken back. */
static int set_override(cap_flag_value_t value)
{
    CLEANUP_SETS cap_t sets = cap_get_proc();
    cap_value_t list[2];
    int n = 0;

    if (!sets)
        return -errno;
    if (is_set(sets, CAP_PERMITTED, CAP_DAC_OVERRIDE))
        list[n++] = CAP_DAC_OVERRIDE;
    if (is_set(sets, CAP_PERMITTED, CAP_DAC_READ_SEARCH))
        list[n++] = CAP_DAC_READ_SEARCH;
    if (n == 0)
        return 0;
    if (cap_set_flag(sets, CAP_EFFECTIVE, n, list, value) < 0 || cap_set_proc(sets) < 0)
        return -errno;
    return 0;
}

bool hf_privilege_is_open(const char *path, int mode)
{
    if (set_override(CAP_CLEAR) < 0)
        return false;
    /* not by way of libc, which guesses from the mode where the call is missing */
    long r = syscall(SYS_faccessat2, AT_FDCWD, path, mode, AT_EACCESS);
    bool open = r == 0 || errno == ENOENT;
    return set_override(CAP_SET) == 0 && open;
}

unsigned hf_privilege_first_port(void)
{
    HF_CLEANUP_FREE char *text = NULL;
    uint64_t port;

    if (hf_file_read(FIRST_PORT_FILE, 32, &text, NULL) < 0)
        return FIRST_PORT_DEFAULT;
    text[strcspn(text, "\n")] = '\0';
    return hf_parse_uint(text, 65536, &port) < 0 ? FIRST_PORT_DEFAULT : (unsigned)port;
}
