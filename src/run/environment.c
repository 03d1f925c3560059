#include "run/environment.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "service/adapter.h"

static bool sets(const char *const *entries, const char *entry)
{
    size_t length = strcspn(entry, "=");

    for (; entries && *entries; entries++)
        if (strcspn(*entries, "=") == length && memcmp(*entries, entry, length) == 0)
            return true;
    return false;
}

static int add(char ***environment, const char *const *entries)
{
    for (; entries && *entries; entries++) {
        int r = hf_strv_append(environment, *entries);
        if (r < 0)
            return r;
    }
    return 0;
}

int hf_environment_make(char *const *first, const char *const *second, char ***ret)
{
    HF_CLEANUP_STRV char **environment = NULL;

    const char *const *before = (const char *const *)first;
    int r = 0;

    for (char *const *entry = environ; entry && *entry && r >= 0; entry++)
        if (!hf_handoff_is_foreign(*entry) && !sets(before, *entry) && !sets(second, *entry))
            r = hf_strv_append(&environment, *entry);
    if (r >= 0)
        r = add(&environment, before);
    if (r >= 0)
        r = add(&environment, second);
    if (r < 0)
        return r;
    *ret = HF_STEAL(environment);
    return 0;
}
