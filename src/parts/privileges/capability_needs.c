/* SPDX-License-Identifier: MIT */
#include "parts/privileges/capability_needs.h"

#include <linux/capability.h>

#define FACT(member) offsetof(HfCapabilityNeedFacts, member)

const HfCapabilityNeed hf_capability_needs[] = {
    {CAP_KILL, FACT(service), "to signal the service's processes, whoever they run as"},
    {CAP_SYS_PTRACE, FACT(service), "to tell them by what they execute and hold open"},
    {CAP_NET_BIND_SERVICE, FACT(low_port), "to bind a port below 1024"},
    {CAP_CHOWN, FACT(path_rights), "to give a unix path its owner and group"},
    {CAP_FOWNER, FACT(path_rights),
     "to change the mode of a unix path that belongs to another user"},
    {CAP_DAC_OVERRIDE, FACT(path_rights), "to connect to a unix path that belongs to another user"},
    {CAP_DAC_OVERRIDE, FACT(foreign_directory),
     "to make and remove a unix path or pid file in a directory that belongs to another user"},
    {CAP_FOWNER, FACT(foreign_directory),
     "to remove a unix path or pid file from a sticky directory that belongs to another user"},
    {CAP_DAC_OVERRIDE, FACT(scoreboards),
     "to ask php-fpm's pools how busy they are, and to warm them"},
    {CAP_DAC_OVERRIDE, FACT(private_files),
     "to execute a program that only another user may execute"},
    {CAP_DAC_READ_SEARCH, FACT(private_files),
     "to find program, directory and configuration where only another user may look"},
    {CAP_SETUID, FACT(user), "to start the service as its user"},
    {CAP_SETGID, FACT(user), "to start the service with its groups"},
    {CAP_CHOWN, FACT(foreign_pid_file), "to give php-fpm's user a pid file"},
    {CAP_SETPCAP, FACT(narrowed), "to narrow the service's capabilities"},
};
const size_t hf_capability_need_count = sizeof(hf_capability_needs) / sizeof(*hf_capability_needs);

bool hf_capability_need_applies(const HfCapabilityNeed *need, const HfCapabilityNeedFacts *facts)
{
    return *(const bool *)((const char *)facts + need->fact);
}

uint64_t hf_capability_needs_of(const HfCapabilityNeedFacts *facts)
{
    uint64_t needed = 0;

    for (size_t i = 0; i < hf_capability_need_count; i++)
        if (hf_capability_need_applies(&hf_capability_needs[i], facts))
            needed |= UINT64_C(1) << hf_capability_needs[i].capability;
    return needed;
}

const HfCapabilityNeed *hf_capability_need_find(const HfCapabilityNeedFacts *facts,
                                                uint64_t capabilities)
{
    for (size_t i = 0; i < hf_capability_need_count; i++)
        if ((capabilities >> hf_capability_needs[i].capability & 1) &&
            hf_capability_need_applies(&hf_capability_needs[i], facts))
            return &hf_capability_needs[i];
    return NULL;
}
