#include "daemon/environment.h"

#include <unistd.h>

#include "base/memory.h"
#include "core/handoff.h"

static int add(char ***environment, const char *const *entries, bool own)
{
    for (; entries && *entries; entries++) {
        if (own && hf_handoff_is_foreign(*entries))
            continue;
        int r = hf_strv_append(environment, *entries);
        if (r < 0)
            return r;
    }
    return 0;
}

int hf_environment_make(char *const *first, const char *const *second, char ***ret)
{
    HF_CLEANUP_STRV char **environment = NULL;

    int r = add(&environment, (const char *const *)environ, true);
    if (r >= 0)
        r = add(&environment, (const char *const *)first, false);
    if (r >= 0)
        r = add(&environment, second, false);
    if (r < 0)
        return r;
    *ret = HF_STEAL(environment);
    return 0;
}
