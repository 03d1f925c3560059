/* Places where the holdfast that tests build beside the real one (tests/meson.build) dies when
 * HOLDFAST_CRASH_POINT names them. */
#pragma once

#ifdef HF_CRASH_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void hf_crash_point(const char *name)
{
    const char *wanted = getenv("HOLDFAST_CRASH_POINT");

    if (wanted && strcmp(wanted, name) == 0)
        raise(SIGKILL);
}
#define HF_CRASH_POINT(name) hf_crash_point(name)
#else
#define HF_CRASH_POINT(name) ((void)0)
#endif
