/* SPDX-License-Identifier: MIT */
/* Out of memory on need, in an executable whose allocations are wrapped (see meson.build). */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t allocations_left = SIZE_MAX; /* until one fails */
static bool allocation_failed;

static bool is_refused(void)
{
    if (allocations_left == SIZE_MAX || allocations_left-- > 0)
        return false;
    allocations_left = SIZE_MAX;
    allocation_failed = true;
    errno = ENOMEM;
    return true;
}

#define WRAP(type, function, parameters, arguments)                                                \
    type __real_##function parameters;                                                             \
    type __wrap_##function parameters;                                                             \
    type __wrap_##function parameters                                                              \
    {                                                                                              \
        return is_refused() ? NULL : __real_##function arguments;                                  \
    }
WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(char *, strdup, (const char *text), (text))
#undef WRAP

/* Runs body with its first allocation failing, then its second, and so on, until none is left to
 * fail. body returns 0, or -ENOMEM when, and only when, one has failed; returns how many did. */
static size_t fail_each_allocation(int (*body)(void *context), void *context)
{
    for (size_t n = 0;; n++) {
        allocation_failed = false;
        allocations_left = n;
        int r = body(context);
        allocations_left = SIZE_MAX;
        if (r != (allocation_failed ? -ENOMEM : 0))
            fail_msg("allocation %zu %s: %d", n, allocation_failed ? "failed" : "was made", r);
        if (!allocation_failed)
            return n;
    }
}
