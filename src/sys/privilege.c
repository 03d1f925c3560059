#include "sys/privilege.h"

#include <errno.h>
#include <sys/capability.h>

static void free_sets(cap_t *sets)
{
    if (*sets)
        cap_free(*sets);
}
#define CLEANUP_SETS __attribute__((cleanup(free_sets)))

bool hf_privilege_has(int capability)
{
    CLEANUP_SETS cap_t sets = cap_get_proc();
    cap_flag_value_t value = CAP_CLEAR;

    return sets && cap_get_flag(sets, capability, CAP_EFFECTIVE, &value) == 0 && value == CAP_SET;
}
