/* SPDX-License-Identifier: MIT */
/* For tests/coverage: what a process did that ends by _exit(2) counts as well, and helpers stay
 * able to write that down. */
#include <stdbool.h>
#include <stdnoreturn.h>

void __gcov_dump(void);
__attribute__((weak)) bool hf_failing_end(void); /* helpers/failing.h, where it is linked in */
noreturn void __real__exit(int status);
noreturn void __wrap__exit(int status);
void __wrap_hf_privilege_confine(bool connects);

noreturn void __wrap__exit(int status)
{
    if (hf_failing_end)
        hf_failing_end();
    __gcov_dump();
    __real__exit(status);
}

void __wrap_hf_privilege_confine(bool connects)
{
    (void)connects;
}
