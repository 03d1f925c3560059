#include "run/runtime.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/names.h"
#include "kernel/file.h"
#include "kernel/lock.h"

#define TRIES 16

static int join(const char *directory, const char *name, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/%s", directory, name);
    return hf_text_take(&path, ret);
}

int hf_runtime_name(const char *name, HfRuntime *ret)
{
    HF_CLEANUP_FREE char *base = NULL;
    HfRuntime runtime = {.lock = -1};

    int r = hf_name_of_runtime_base(&base);
    if (r >= 0)
        r = join(base, name, &runtime.directory);
    if (r >= 0)
        r = join(runtime.directory, "none", &runtime.aliases);
    if (r >= 0)
        r = join(runtime.directory, "status", &runtime.statuses);
    if (r >= 0)
        r = join(runtime.directory, "notify", &runtime.notify);
    if (r >= 0)
        r = join(runtime.directory, "control", &runtime.control);
    if (r < 0) {
        hf_runtime_release(&runtime);
        return r;
    }
    *ret = runtime;
    return 0;
}

/* The last instance takes the directory above along; another that starts just then makes it anew.
 */
static int make_directory(const char *path)
{
    int r = -ENOENT;

    for (int i = 0; r == -ENOENT && i < TRIES; i++)
        r = hf_file_make_directory(path, 0755);
    return r;
}

/* Elsewhere a place may still be given; whom a container's runtime starts cannot be helped. */
static bool is_unwritable(int r)
{
    return r == -EROFS || ((r == -EACCES || r == -EPERM) && getpid() == 1);
}

/* Containers of one pod share their abstract names, and each holdfast is process 1 in its own. */
static int move_to_memory(HfRuntime *runtime, const char *name)
{
    HF_CLEANUP_TEXT HfText path = {0};
    uint64_t unique;

    if (getentropy(&unique, sizeof(unique)) < 0)
        return -errno;
    hf_text_addf(&path, "@holdfast-%016llx/%s", (unsigned long long)unique, name);
    free(runtime->directory);
    runtime->directory = NULL;
    free(runtime->notify);
    runtime->notify = NULL;
    free(runtime->control);
    runtime->control = NULL;
    runtime->in_memory = true;
    int r = hf_text_take(&path, &runtime->directory);
    return r < 0 ? r : join(runtime->directory, "notify", &runtime->notify);
}

int hf_runtime_claim(HfRuntime *runtime, const char *name, HfText *error)
{
    HF_CLEANUP_FREE char *path = NULL;
    pid_t holder = 0;

    int r = make_directory(runtime->directory);
    if (is_unwritable(r)) {
        hf_log(LOG_NOTICE, &(HfLogFields){.error = r},
               "the runtime directory %s cannot be made: all is kept in memory, and signals are "
               "the only control",
               runtime->directory);
        return move_to_memory(runtime, name);
    }
    if (r < 0) {
        hf_text_addf(error, "the runtime directory %s cannot be made: %s%s", runtime->directory,
                     strerror(-r), geteuid() == 0 ? "" : "; run as root, or set XDG_RUNTIME_DIR");
        return r;
    }
    r = join(runtime->directory, "lock", &path);
    if (r < 0)
        return r;
    r = hf_file_lock(path, &holder);
    if (r == -EWOULDBLOCK && holder > 0)
        hf_text_addf(error,
                     "an instance named %s is running already (pid %d); choose another --name",
                     name, (int)holder);
    else if (r == -EWOULDBLOCK)
        hf_text_addf(error, "an instance named %s is running already; choose another --name", name);
    else if (r < 0)
        hf_text_addf(error, "%s cannot be locked: %s", path, strerror(-r));
    if (r < 0)
        return r;
    runtime->lock = r;
    return 0;
}

void hf_runtime_release(HfRuntime *runtime)
{
    if (runtime->lock >= 0) {
        HF_CLEANUP_FREE char *base = NULL;
        hf_file_remove_directory(runtime->statuses);
        hf_file_remove_directory(runtime->directory);
        if (hf_name_of_runtime_base(&base) == 0)
            rmdir(base); /* the last instance takes it along */
    }
    runtime->lock = hf_fd_close(runtime->lock);
    hf_cgroups_release(&runtime->cgroups);
    free(runtime->directory);
    free(runtime->aliases);
    free(runtime->statuses);
    free(runtime->notify);
    free(runtime->control);
    *runtime = (HfRuntime){.lock = -1};
}

int hf_runtime_file(const HfRuntime *runtime, uint64_t number, const char *suffix, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    if (number == 0)
        hf_text_addf(&path, "%s/canary.%s", runtime->directory, suffix);
    else
        hf_text_addf(&path, "%s/gen-%llu.%s", runtime->directory, (unsigned long long)number,
                     suffix);
    return hf_text_take(&path, ret);
}

int hf_runtime_statuses(const HfRuntime *runtime, uint64_t number, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/%llu", runtime->statuses, (unsigned long long)number);
    return hf_text_take(&path, ret);
}
