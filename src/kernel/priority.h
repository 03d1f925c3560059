/* SPDX-License-Identifier: MIT */
/* Runs a service at the lowest priority for a while: autogroup, sched(7), and nice values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "kernel/members.h"

#define HF_PRIORITY_PAUSE (110 * HF_USEC_PER_MSEC) /* until the kernel accepts the next change */

typedef struct HfNiceness {
    pid_t pid;
    int nice;
} HfNiceness;

typedef struct HfPriority {
    HfMembership who; /* all its processes; borrowed */
    pid_t main;       /* of its session, the ancestor of later processes */
    bool grouped;     /* its session has an autogroup that can be lowered */
    bool lowered;     /* and has been */
    int autogroup;    /* open while grouped */
    int group_nice;   /* the value before */
    bool niced;       /* its processes were lowered */
    int main_nice;
    HfNiceness *saved;
    size_t n;
    size_t capacity;
} HfPriority;

/* Lowers what can be restored later; does nothing if it is lowered already. Returns 0, why nothing
 * could be lowered, or -EAGAIN: the kernel accepts no change of an autogroup so soon; call
 * hf_priority_lower_group, which returns the same, after HF_PRIORITY_PAUSE. */
int hf_priority_lower(pid_t main, const HfMembership *who, HfPriority *priority);
int hf_priority_lower_group(HfPriority *priority);
/* Takes over what another holdfast may have lowered and not restored. tried: it was on trial. */
void hf_priority_adopt(pid_t main, bool tried, const HfMembership *who, HfPriority *priority);
/* Returns 0, also when there is nothing to restore, or -EAGAIN as above. */
int hf_priority_restore(HfPriority *priority);
void hf_priority_clear(HfPriority *priority);
