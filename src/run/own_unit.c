#include "run/own_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "format/cgroup.h"
#include "kernel/cgroup.h"
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

static int find_directory(HfText *text)
{
    static const char *const controllers[] = {NULL, "name=systemd"};
    HF_CLEANUP_FREE char *mountinfo = NULL;
    HF_CLEANUP_FREE char *list = NULL;

    int r = hf_file_read("/proc/self/mountinfo", HF_CGROUP_TEXT_MAX, &mountinfo, NULL);
    if (r >= 0)
        r = hf_file_read("/proc/self/cgroup", HF_CGROUP_TEXT_MAX, &list, NULL);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++)
        if (is_service(list, controllers[i]) &&
            hf_cgroup_directory(mountinfo, list, controllers[i], text) == 0)
            return text->failed ? -ENOMEM : 0;
    return -ENOENT;
}

int hf_own_unit_processes(pid_t **ret, size_t *ret_n)
{
    HF_CLEANUP_TEXT HfText directory = {0};

    *ret = NULL;
    *ret_n = 0;
    int r = hf_own_unit_is_main() ? find_directory(&directory) : -ENOENT;
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : hf_cgroup_list(hf_text_peek(&directory), ret, ret_n);
}

bool hf_own_unit_lists(const pid_t *pids, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++)
        if (pids[i] == pid)
            return true;
    return false;
}
