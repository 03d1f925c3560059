/* SPDX-License-Identifier: MIT */
#include "format/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

static const char *const names[] = {
    [CAP_CHOWN] = "chown",
    [CAP_DAC_OVERRIDE] = "dac_override",
    [CAP_DAC_READ_SEARCH] = "dac_read_search",
    [CAP_FOWNER] = "fowner",
    [CAP_FSETID] = "fsetid",
    [CAP_KILL] = "kill",
    [CAP_SETGID] = "setgid",
    [CAP_SETUID] = "setuid",
    [CAP_SETPCAP] = "setpcap",
    [CAP_LINUX_IMMUTABLE] = "linux_immutable",
    [CAP_NET_BIND_SERVICE] = "net_bind_service",
    [CAP_NET_BROADCAST] = "net_broadcast",
    [CAP_NET_ADMIN] = "net_admin",
    [CAP_NET_RAW] = "net_raw",
    [CAP_IPC_LOCK] = "ipc_lock",
    [CAP_IPC_OWNER] = "ipc_owner",
    [CAP_SYS_MODULE] = "sys_module",
    [CAP_SYS_RAWIO] = "sys_rawio",
    [CAP_SYS_CHROOT] = "sys_chroot",
    [CAP_SYS_PTRACE] = "sys_ptrace",
    [CAP_SYS_PACCT] = "sys_pacct",
    [CAP_SYS_ADMIN] = "sys_admin",
    [CAP_SYS_BOOT] = "sys_boot",
    [CAP_SYS_NICE] = "sys_nice",
    [CAP_SYS_RESOURCE] = "sys_resource",
    [CAP_SYS_TIME] = "sys_time",
    [CAP_SYS_TTY_CONFIG] = "sys_tty_config",
    [CAP_MKNOD] = "mknod",
    [CAP_LEASE] = "lease",
    [CAP_AUDIT_WRITE] = "audit_write",
    [CAP_AUDIT_CONTROL] = "audit_control",
    [CAP_SETFCAP] = "setfcap",
    [CAP_MAC_OVERRIDE] = "mac_override",
    [CAP_MAC_ADMIN] = "mac_admin",
    [CAP_SYSLOG] = "syslog",
    [CAP_WAKE_ALARM] = "wake_alarm",
    [CAP_BLOCK_SUSPEND] = "block_suspend",
    [CAP_AUDIT_READ] = "audit_read",
    [CAP_PERFMON] = "perfmon",
    [CAP_BPF] = "bpf",
    [CAP_CHECKPOINT_RESTORE] = "checkpoint_restore",
};
HF_STRTAB_DEFINE(hf_capability, unsigned, names, HF_CAPABILITY_COUNT)

static int find_capability(const char *name, size_t length)
{
    static const char prefix[] = "cap_";

    if (length >= strlen(prefix) && strncasecmp(name, prefix, strlen(prefix)) == 0) {
        name += strlen(prefix);
        length -= strlen(prefix);
    }
    for (int i = 0; i < HF_CAPABILITY_COUNT; i++)
        if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0)
            return i;
    return -EINVAL;
}

int hf_capabilities_parse(const char *text, uint64_t *ret, const char **ret_unknown,
                          size_t *ret_length)
{
    uint64_t capabilities = 0;

    for (const char *name = text; strcmp(text, "none") != 0;) {
        size_t length = strcspn(name, ",");
        int number = find_capability(name, length);
        if (number < 0 && ret_unknown) {
            *ret_unknown = name;
            *ret_length = length;
        }
        if (number < 0)
            return number;
        capabilities |= UINT64_C(1) << number;
        if (name[length] == '\0')
            break;
        name += length + 1;
    }
    *ret = capabilities;
    return 0;
}

void hf_capabilities_format(uint64_t capabilities, HfText *text)
{
    const char *separator = "";

    for (unsigned i = 0; i < HF_CAPABILITY_COUNT; i++)
        if (capabilities >> i & 1) {
            hf_text_addf(text, "%s%s", separator, names[i]);
            separator = ",";
        }
    if (*separator == '\0')
        hf_text_add(text, "none");
}
