/* Was it the kernel's OOM killer? Its counters before and after. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "run/cgroups.h"

typedef struct HfOomCounter {
    char *file; /* NULL: there is none */
    uint64_t before;
} HfOomCounter;

typedef struct HfOom {
    HfOomCounter group;   /* of the generation's cgroup, else of our own */
    HfOomCounter machine; /* all of it */
} HfOom;

typedef enum HfOomVerdict {
    HF_OOM_NO,      /* not that anybody knows */
    HF_OOM_MACHINE, /* somewhere on this machine */
    HF_OOM_GROUP,   /* in the same cgroup */
} HfOomVerdict;

void hf_oom_begin(HfOom *oom, const HfCgroups *cgroups, const HfSubgroup *subgroup);
/* What happened since. */
HfOomVerdict hf_oom_look(const HfOom *oom);
void hf_oom_clear(HfOom *oom);
