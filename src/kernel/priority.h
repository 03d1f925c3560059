/* A service at the lowest priority for a while: autogroup, sched(7), and nice values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "kernel/members.h"

typedef struct HfNiceness {
    pid_t pid;
    int nice;
} HfNiceness;

typedef struct HfPriority {
    HfMembership who; /* borrowed: all its processes */
    pid_t main;       /* of its session, which those that come later descend from */
    bool grouped;     /* the session has been lowered among sessions */
    int group_nice;   /* as it was */
    bool niced;       /* the processes have been */
    int main_nice;
    HfNiceness *saved;
    size_t n;
    size_t capacity;
} HfPriority;

/* As far as it can be put back later; grouped and niced say what was possible. */
void hf_priority_lower(pid_t main, const HfMembership *who, HfPriority *ret);
/* Returns 0, or -EAGAIN: the kernel takes no change of an autogroup so soon, try again in a tenth
 * of a second. */
int hf_priority_restore(HfPriority *priority);
void hf_priority_clear(HfPriority *priority);
