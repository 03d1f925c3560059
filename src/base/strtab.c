#include "base/strtab.h"

#include <errno.h>
#include <string.h>

const char *hf_strtab_name(const char *const *table, size_t length, int value)
{
    return value >= 0 && (size_t)value < length ? table[value] : NULL;
}

int hf_strtab_value(const char *const *table, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++)
        if (table[i] && strcmp(table[i], name) == 0)
            return (int)i;
    return -EINVAL;
}
