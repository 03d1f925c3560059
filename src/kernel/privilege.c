/* SPDX-License-Identifier: MIT */
#include "kernel/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "kernel/credentials.h"
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
        /* -EINVAL for those that libcap does not know: they are in no set anyway */
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

/* In the effective set only, so that it can be undone. */
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
    /* libc would guess from the mode where the kernel lacks the call */
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

/* ---- helpers that read hostile input ---- */

#define NOBODY 65534

int hf_privilege_leave(uint64_t capabilities)
{
    const bool root = geteuid() == 0;
    HfCredentials nobody = {.has_user = root,
                            .has_group = root,
                            .uid = NOBODY,
                            .gid = NOBODY,
                            .no_new_privileges = true};

    /* refused without CAP_SETPCAP; with no_new_privs the set no longer matters */
    (void)hf_credentials_narrow(&nobody);
    if (capabilities != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return -errno;
    int r = hf_credentials_enter(&nobody);
    if (r < 0) { /* no other user in this unit or user namespace */
        nobody.has_user = nobody.has_group = false;
        r = hf_credentials_enter(&nobody);
    }
    return r < 0 ? r : hf_privilege_keep(capabilities);
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE
#define ALLOW(call)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define REFUSE       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

/* The first two are for a helper that connects only. */
static const struct sock_filter allowed[] = {
    ALLOW(SYS_socket),
    ALLOW(SYS_connect),
    ALLOW(SYS_read),
    ALLOW(SYS_write),
    ALLOW(SYS_recvfrom),
    ALLOW(SYS_sendto),
    ALLOW(SYS_accept4),
    ALLOW(SYS_shutdown),
    ALLOW(SYS_close),
    ALLOW(SYS_ppoll),
    ALLOW(SYS_setitimer),
    ALLOW(SYS_clock_gettime),
    ALLOW(SYS_rt_sigaction),
    ALLOW(SYS_rt_sigreturn),
    ALLOW(SYS_rt_sigprocmask),
    ALLOW(SYS_restart_syscall),
    ALLOW(SYS_brk),
    ALLOW(SYS_mmap),
    ALLOW(SYS_munmap),
    ALLOW(SYS_mremap),
    ALLOW(SYS_madvise),
    ALLOW(SYS_mprotect),
    ALLOW(SYS_futex),
    ALLOW(SYS_getpid),
    ALLOW(SYS_gettid),
    ALLOW(SYS_tgkill),
    ALLOW(SYS_sigaltstack), /* for a sanitizer */
    ALLOW(SYS_exit_group),
#ifdef SYS_poll
    ALLOW(SYS_poll),
#endif
    REFUSE,
};
#define CONNECTING 4 /* instructions */
#endif

void hf_privilege_confine(bool connects)
{
#ifdef ARCHITECTURE
    const size_t skipped = connects ? 0 : CONNECTING;
    struct sock_filter filter[4 + sizeof(allowed) / sizeof(*allowed)] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        REFUSE,
        LOAD(nr),
    };
    const struct sock_fprog program = {
        .len = (unsigned short)(sizeof(filter) / sizeof(*filter) - skipped), .filter = filter};

    memcpy(filter + 4, allowed + skipped, sizeof(allowed) - skipped * sizeof(*allowed));
    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
#else
    (void)connects;
#endif
}
