#include "run/own_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "format/cgroup.h"
#include "kernel/file.h"

#define SUFFIX ".service"

bool hf_own_unit_is_main(void)
{
    const char *pid = getenv("SYSTEMD_EXEC_PID");
    uint64_t number;

    return pid && hf_parse_uint(pid, INT32_MAX, &number) == 0 && (pid_t)number == getpid();
}

/* A container's root, a session or a slice is not ours alone. */
static bool is_service(const char *list, const char *controller)
{
    size_t suffix = strlen(SUFFIX);
    const char *path;
    size_t length;

    return hf_cgroup_path(list, controller, &path, &length) == 0 && length > suffix &&
           memcmp(path + length - suffix, SUFFIX, suffix) == 0;
}

int hf_own_unit_cgroup(char **ret)
{
    static const char *const controllers[] = {NULL, "name=systemd"};
    HF_CLEANUP_FREE char *list = NULL;
    const char *path;
    size_t length;

    *ret = NULL;
    if (!hf_own_unit_is_main())
        return 0;
    int r = hf_file_read("/proc/self/cgroup", HF_CGROUP_TEXT_MAX, &list, NULL);
    for (size_t i = 0; r >= 0 && i < sizeof(controllers) / sizeof(*controllers); i++) {
        if (!is_service(list, controllers[i]) ||
            hf_cgroup_path(list, controllers[i], &path, &length) < 0)
            continue;
        *ret = strndup(path, length);
        return *ret ? 0 : -ENOMEM;
    }
    return r;
}
