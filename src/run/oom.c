#include "run/oom.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "format/cgroup.h"
#include "kernel/file.h"

static int count(const char *path, uint64_t *ret)
{
    HF_CLEANUP_FREE char *text = NULL;

    int r = hf_file_read(path, HF_CGROUP_TEXT_MAX, &text, NULL);
    return r < 0 ? r : hf_cgroup_counter(text, "oom_kill", ret);
}

/* Takes path over. */
static void begin(HfOomCounter *counter, char *path)
{
    *counter = (HfOomCounter){.file = path};
    if (path && count(path, &counter->before) < 0)
        hf_string_set(&counter->file, NULL);
}

void hf_oom_begin(HfOom *oom, const HfCgroups *cgroups, const HfSubgroup *subgroup)
{
    HF_CLEANUP_TEXT HfText path = {0};
    char *own = NULL;

    if (subgroup->directory)
        hf_text_addf(&path, "%s/memory.events", subgroup->directory);
    if (path.length > 0 && hf_text_take(&path, &own) < 0)
        own = NULL;
    begin(&oom->group, own);
    if (!oom->group.file && cgroups->oom_file)
        begin(&oom->group, strdup(cgroups->oom_file));
    begin(&oom->machine, strdup("/proc/vmstat"));
}

static bool rose(const HfOomCounter *counter)
{
    uint64_t now;

    return counter->file && count(counter->file, &now) == 0 && now > counter->before;
}

HfOomVerdict hf_oom_look(const HfOom *oom)
{
    if (rose(&oom->group))
        return HF_OOM_GROUP;
    return rose(&oom->machine) ? HF_OOM_MACHINE : HF_OOM_NO;
}

void hf_oom_clear(HfOom *oom)
{
    hf_string_set(&oom->group.file, NULL);
    hf_string_set(&oom->machine.file, NULL);
}
