/* SPDX-License-Identifier: MIT */
/* Places where the holdfast that tests build beside the real one (tests/meson.build) dies when
 * HOLDFAST_CRASH_POINT names them: as NAME, or NAME:N when it comes there for the Nth time. */
#pragma once

#ifdef HF_CRASH_POINTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void hf_crash_point(const char *name)
{
    static unsigned long passes;
    const char *wanted = getenv("HOLDFAST_CRASH_POINT");
    size_t length = strlen(name);

    if (!wanted || strncmp(wanted, name, length) != 0)
        return;
    if (wanted[length] == '\0' ||
        (wanted[length] == ':' && strtoul(wanted + length + 1, NULL, 10) == ++passes))
        raise(SIGKILL);
}

/* One point for each of the machine's actions, such as "before-commit". */
static inline void hf_crash_point_at(const char *when, const char *action)
{
    char name[64];

    snprintf(name, sizeof(name), "%s-%s", when, action);
    hf_crash_point(name);
}
#define HF_CRASH_POINT(name)            hf_crash_point(name)
#define HF_CRASH_POINT_AT(when, action) hf_crash_point_at(when, action)
#else
#define HF_CRASH_POINT(name)            ((void)0)
#define HF_CRASH_POINT_AT(when, action) ((void)0)
#endif
