/* SPDX-License-Identifier: MIT */
#include "loop/cgroups.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "base/text.h"
#include "format/cgroup.h"
#include "kernel/cgroup.h"
#include "kernel/file.h"

#define MOVES_MAX 4   /* rounds, for processes that fork meanwhile */
#define MOVE_TIME 100 /* ms, per round */
#define SUFFIX    ".service"

typedef unsigned long long Number;

static int find_directory(const char *mountinfo, const char *list, const char *controller,
                          char **ret)
{
    HF_CLEANUP_TEXT HfText text = {0};

    int r = hf_cgroup_directory(mountinfo, list, controller, &text);
    return r < 0 ? r : hf_text_take(&text, ret);
}

static int find_own(const char *mountinfo, const char *list, HfCgroups *cgroups)
{
    const char *path;
    size_t length;

    int r = find_directory(mountinfo, list, NULL, &cgroups->directory);
    if (r < 0)
        return r;
    r = hf_cgroup_path(list, NULL, &path, &length);
    if (r < 0)
        return r;
    cgroups->path = strndup(path, length == 1 ? 0 : length);
    return cgroups->path ? 0 : -ENOMEM;
}

/* memory.events of v2, or memory.oom_control of v1, whichever exists. */
static int find_oom_file(const char *mountinfo, const char *list, char **ret)
{
    static const struct {
        const char *controller;
        const char *name;
    } files[] = {{NULL, "memory.events"}, {"memory", "memory.oom_control"}};

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        HF_CLEANUP_TEXT HfText path = {0};
        if (hf_cgroup_directory(mountinfo, list, files[i].controller, &path) < 0)
            continue;
        hf_text_addf(&path, "/%s", files[i].name);
        if (access(hf_text_peek(&path), R_OK) == 0)
            return hf_text_take(&path, ret);
    }
    return -ENOENT;
}

int hf_cgroups_find(const char *name, bool use, HfCgroups *ret)
{
    HF_CLEANUP_FREE char *mountinfo = NULL;
    HF_CLEANUP_FREE char *list = NULL;
    HF_CLEANUP_TEXT HfText prefix = {0};
    HfCgroups cgroups = {0};

    hf_text_addf(&prefix, "holdfast-%s-gen-", name);
    int r = hf_text_take(&prefix, &cgroups.prefix);
    if (r < 0)
        return r;
    if (hf_file_read("/proc/self/mountinfo", HF_CGROUP_TEXT_MAX, &mountinfo, NULL) == 0 &&
        hf_file_read("/proc/self/cgroup", HF_CGROUP_TEXT_MAX, &list, NULL) == 0) {
        find_oom_file(mountinfo, list, &cgroups.oom_file);
        if (!use || find_own(mountinfo, list, &cgroups) < 0 ||
            !hf_cgroup_is_delegated(cgroups.directory)) {
            hf_string_set(&cgroups.directory, NULL);
            hf_string_set(&cgroups.path, NULL);
        }
    }
    *ret = cgroups;
    hf_cgroups_sweep(ret); /* sub-cgroups of an instance that was killed */
    return 0;
}

static bool is_own(const HfCgroups *cgroups, const char *name)
{
    size_t length = strlen(cgroups->prefix);

    return strncmp(name, cgroups->prefix, length) == 0 &&
           name[length + strspn(name + length, "0123456789.")] == '\0';
}

/* Calls for the directory of each sub-cgroup of this instance. */
static void for_each(const HfCgroups *cgroups,
                     void (*call)(const HfCgroups *cgroups, const char *directory))
{
    const struct dirent *entry;
    DIR *directory = cgroups->directory ? opendir(cgroups->directory) : NULL;

    while (directory && (entry = readdir(directory))) {
        HF_CLEANUP_TEXT HfText path = {0};
        if (!is_own(cgroups, entry->d_name))
            continue;
        hf_text_addf(&path, "%s/%s", cgroups->directory, entry->d_name);
        if (!path.failed)
            call(cgroups, hf_text_peek(&path));
    }
    if (directory)
        closedir(directory);
}

static void sweep_one(const HfCgroups *cgroups, const char *directory)
{
    (void)cgroups;
    hf_cgroup_remove(directory);
}

void hf_cgroups_sweep(const HfCgroups *cgroups)
{
    for_each(cgroups, sweep_one);
}

static void dissolve_one(const HfCgroups *cgroups, const char *directory)
{
    int r = hf_cgroup_remove(directory);

    for (int i = 0; i < MOVES_MAX && r == -EBUSY; i++) {
        hf_cgroup_empty(directory, cgroups->directory);
        hf_cgroup_await_empty(directory, MOVE_TIME);
        r = hf_cgroup_remove(directory);
    }
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_WARNING, &fields, "the cgroup %s cannot be removed, and stays", directory);
    }
}

void hf_cgroups_release(HfCgroups *cgroups)
{
    for_each(cgroups, dissolve_one);
    free(cgroups->prefix);
    free(cgroups->directory);
    free(cgroups->path);
    free(cgroups->oom_file);
    *cgroups = (HfCgroups){0};
}

static void forget_subgroup(HfSubgroup *subgroup)
{
    hf_fd_close(subgroup->procs);
    free(subgroup->directory);
    free(subgroup->path);
    *subgroup = HF_SUBGROUP_NONE;
}

static int name_subgroup(const HfCgroups *cgroups, const char *name, HfSubgroup *ret)
{
    HF_CLEANUP_TEXT HfText directory = {0};
    HF_CLEANUP_TEXT HfText path = {0};

    *ret = HF_SUBGROUP_NONE;
    hf_text_addf(&directory, "%s/%s", cgroups->directory, name);
    hf_text_addf(&path, "%s/%s", cgroups->path, name);
    int r = hf_text_take(&directory, &ret->directory);
    if (r >= 0)
        r = hf_text_take(&path, &ret->path);
    if (r < 0)
        forget_subgroup(ret);
    return r;
}

static int make_named(const HfCgroups *cgroups, const char *name, HfSubgroup *ret)
{
    int r = name_subgroup(cgroups, name, ret);

    if (r < 0)
        return r;
    r = ret->procs = hf_cgroup_make(ret->directory);
    if (r < 0) {
        ret->procs = -1;
        forget_subgroup(ret);
        return r;
    }
    return 0;
}

/* The second name is for when processes of a killed instance are still in the first. */
static int add_name(const HfCgroups *cgroups, uint64_t number, bool second, HfText *text)
{
    hf_text_addf(text, "%s%llu", cgroups->prefix, (Number)number);
    if (second)
        hf_text_addf(text, ".%d", (int)getpid());
    return text->failed ? -ENOMEM : 0;
}

int hf_subgroup_make(const HfCgroups *cgroups, uint64_t number, HfSubgroup *ret)
{
    int r = -EEXIST;

    *ret = HF_SUBGROUP_NONE;
    if (!cgroups->directory)
        return 0;
    for (int second = 0; second < 2 && r == -EEXIST; second++) {
        HF_CLEANUP_TEXT HfText name = {0};
        r = add_name(cgroups, number, second, &name);
        if (r >= 0)
            r = make_named(cgroups, hf_text_peek(&name), ret);
    }
    if (r < 0 && r != -ENOMEM) {
        const HfLogFields fields = {.generation = number, .error = r};
        hf_log(LOG_WARNING, &fields,
               "generation %llu gets no cgroup, and is tracked by its session", (Number)number);
        return 0;
    }
    return r;
}

int hf_subgroup_find(const HfCgroups *cgroups, uint64_t number, int main_pid, HfSubgroup *ret)
{
    *ret = HF_SUBGROUP_NONE;
    for (int second = 1; cgroups->directory && second >= 0; second--) {
        HF_CLEANUP_TEXT HfText name = {0};
        int r = add_name(cgroups, number, second, &name);
        if (r >= 0)
            r = name_subgroup(cgroups, hf_text_peek(&name), ret);
        if (r < 0)
            return r;
        if (access(ret->directory, F_OK) == 0 &&
            (main_pid == 0 || hf_cgroup_holds(ret->path, main_pid) > 0))
            return 0;
        forget_subgroup(ret);
    }
    return 0;
}

void hf_subgroup_entered(HfSubgroup *subgroup, uint64_t number, int main_pid)
{
    const HfLogFields fields = {.generation = number};

    subgroup->procs = hf_fd_close(subgroup->procs);
    if (!subgroup->directory || hf_cgroup_holds(subgroup->path, main_pid) != 0)
        return;
    /* it may also have left it again, or ended */
    hf_log(LOG_DEBUG, &fields,
           "generation %llu is not in its cgroup, and is tracked by its session", (Number)number);
}

void hf_subgroup_clear(HfSubgroup *subgroup)
{
    if (subgroup->directory)
        hf_cgroup_remove(subgroup->directory);
    forget_subgroup(subgroup);
}

/* ---- OOM kills ---- */

static int count(const char *path, uint64_t *ret)
{
    HF_CLEANUP_FREE char *text = NULL;

    int r = hf_file_read(path, HF_CGROUP_TEXT_MAX, &text, NULL);
    return r < 0 ? r : hf_cgroup_counter(text, "oom_kill", ret);
}

/* Takes ownership of path. */
static void begin(HfOomCounter *counter, char *path)
{
    *counter = (HfOomCounter){.file = path};
    if (path && count(path, &counter->before) < 0)
        hf_string_set(&counter->file, NULL);
}

void hf_oom_begin(HfOom *oom, const HfCgroups *cgroups, const HfSubgroup *subgroup)
{
    HF_CLEANUP_TEXT HfText path = {0};
    char *own = NULL;

    if (subgroup->directory)
        hf_text_addf(&path, "%s/memory.events", subgroup->directory);
    if (path.length > 0 && hf_text_take(&path, &own) < 0)
        own = NULL;
    begin(&oom->group, own);
    if (!oom->group.file && cgroups->oom_file)
        begin(&oom->group, strdup(cgroups->oom_file));
    begin(&oom->machine, strdup("/proc/vmstat"));
}

static bool rose(const HfOomCounter *counter)
{
    uint64_t now;

    return counter->file && count(counter->file, &now) == 0 && now > counter->before;
}

HfOomVerdict hf_oom_look(const HfOom *oom)
{
    if (rose(&oom->group))
        return HF_OOM_GROUP;
    return rose(&oom->machine) ? HF_OOM_MACHINE : HF_OOM_NO;
}

void hf_oom_clear(HfOom *oom)
{
    hf_string_set(&oom->group.file, NULL);
    hf_string_set(&oom->machine.file, NULL);
}

/* ---- our own unit ---- */

bool hf_own_unit_is_main(void)
{
    const char *pid = getenv("SYSTEMD_EXEC_PID");
    uint64_t number;

    return pid && hf_parse_uint(pid, INT32_MAX, &number) == 0 && (pid_t)number == getpid();
}

/* Only a .service is ours alone, unlike a container's root, a session or a slice. */
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
