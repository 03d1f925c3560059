#include "daemon/environment.h"

#include <unistd.h>

#include "base/memory.h"
#include "core/handoff.h"

int hf_environment_make(char *const *first, char *const *second, char ***ret)
{
    HF_CLEANUP_STRV char **environment = NULL;
    char *const *const parts[] = {environ, first, second};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        for (char *const *entry = parts[i]; entry && *entry; entry++) {
            if (i == 0 && hf_handoff_is_foreign(*entry))
                continue;
            int r = hf_strv_append(&environment, *entry);
            if (r < 0)
                return r;
        }
    *ret = HF_STEAL(environment);
    return 0;
}
