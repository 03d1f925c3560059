/* SPDX-License-Identifier: MIT */
/* A service at the lowest priority for a while: autogroup, sched(7), and nice values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "kernel/members.h"

#define HF_PRIORITY_PAUSE (110 * HF_USEC_PER_MSEC) /* until the kernel takes the next change */

typedef struct HfNiceness {
    pid_t pid;
    int nice;
} HfNiceness;

typedef struct HfPriority {
    HfMembership who; /* borrowed: all its processes */
    pid_t main;       /* of its session, which those that come later descend from */
    bool grouped;     /* its session can be lowered among sessions */
    bool lowered;     /* and is */
    int autogroup;    /* open while grouped */
    int group_nice;   /* as it was */
    bool niced;       /* the processes have been */
    int main_nice;
    HfNiceness *saved;
    size_t n;
    size_t capacity;
} HfPriority;

/* As far as it can be put back later; does nothing to one that is to be put back. Returns 0, or why
 * nothing could be lowered, or -EAGAIN: the kernel takes no change of an autogroup so soon, call
 * hf_priority_lower_group in a tenth of a second, which returns as this does. */
int hf_priority_lower(pid_t main, const HfMembership *who, HfPriority *priority);
int hf_priority_lower_group(HfPriority *priority);
/* What another holdfast may have lowered and not put back. tried: it was on trial. */
void hf_priority_adopt(pid_t main, bool tried, const HfMembership *who, HfPriority *priority);
/* Returns 0, also when nothing is to be put back, or -EAGAIN as above. */
int hf_priority_restore(HfPriority *priority);
void hf_priority_clear(HfPriority *priority);
