#include <string.h>

#include "config/options_table.h"

bool hf_option_equal_string(const void *a, const void *b)
{
    const char *left = *(const char *const *)a;
    const char *right = *(const char *const *)b;

    return left && right ? strcmp(left, right) == 0 : left == right;
}

bool hf_option_equal_number(const void *a, const void *b)
{
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

bool hf_option_equal(const HfOption *option, const HfCommandLine *a, const HfCommandLine *b)
{
    const void *left = (const char *)a + option->offset;
    const void *right = (const char *)b + option->offset;

    if (option->type->equal)
        return option->type->equal(left, right);
    return memcmp(left, right, option->type->no_value ? sizeof(bool) : sizeof(int)) == 0;
}

size_t hf_options_difference(const HfSettings *a, const HfSettings *b, bool fixed,
                             const char *ret[HF_OPTIONS_MAX])
{
    const HfCommandLine left = {.settings = *a};
    const HfCommandLine right = {.settings = *b};
    size_t n = 0;

    for (size_t i = 0; i < hf_option_count; i++) {
        const HfOption *option = &hf_option_table[i];
        if (option->in_file && option->fixed == fixed && !hf_option_equal(option, &left, &right))
            ret[n++] = option->name;
    }
    return n;
}
