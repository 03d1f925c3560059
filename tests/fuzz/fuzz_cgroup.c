/* SPDX-License-Identifier: MIT */
/* /proc/PID/mountinfo, /proc/PID/cgroup and a file of counters, one after another with a NUL
 * between. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "format/cgroup.h"
#include "fuzz.h"

static void check_directory(const char *mountinfo, const char *cgroup, const char *controller)
{
    HF_CLEANUP_TEXT HfText text = {0};
    const char *path = NULL;
    size_t length = 0;

    int found = hf_cgroup_path(cgroup, controller, &path, &length);
    CHECK(found == 0 || found == -ENOENT);
    if (found == 0) {
        CHECK(length > 0 && path[0] == '/' && !memchr(path, '\n', length));
        CHECK(path >= cgroup && path + length <= cgroup + strlen(cgroup));
    }
    int r = hf_cgroup_directory(mountinfo, cgroup, controller, &text);
    CHECK(r == 0 || r == -ENOENT);
    CHECK(found == 0 || r == -ENOENT);
    CHECK((r == 0) == (text.length > 0));
    /* A mount of a part shows less of the path, never more. */
    CHECK(text.length <= strlen(mountinfo) + length);
    if (r == 0) {
        HF_CLEANUP_TEXT HfText again = {0};
        HF_CLEANUP_TEXT HfText longer = {0};
        hf_text_addf(&longer, "no mount at all\n%s", mountinfo);
        CHECK(hf_cgroup_directory(hf_text_peek(&longer), cgroup, controller, &again) == 0);
        CHECK(same_string(hf_text_peek(&text), hf_text_peek(&again)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    Input input = {bytes, size};
    char *mountinfo = input_string(&input);
    char *cgroup = input_string(&input);
    char *file = input_rest(&input);
    uint64_t value = 4242;

    check_directory(mountinfo, cgroup, NULL);
    check_directory(mountinfo, cgroup, "memory");
    int r = hf_cgroup_counter(file, "oom_kill", &value);
    CHECK(r == 0 || r == -ENOENT || r == -EINVAL);
    CHECK(r == 0 || value == 4242);
    free(mountinfo);
    free(cgroup);
    free(file);
    return 0;
}
