/* SPDX-License-Identifier: MIT */
#include "run/runtime.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "config/settings.h"
#include "kernel/file.h"
#include "kernel/lock.h"
#include "kernel/members.h"

#define TRIES          16
#define PID_FILE_BYTES 32
#define LEFT_LOCK_MSEC 5000

static int join(const char *directory, const char *name, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/%s", directory, name);
    return hf_text_take(&path, ret);
}

static void free_paths(HfRuntime *runtime)
{
    free(runtime->directory);
    free(runtime->aliases);
    free(runtime->statuses);
    free(runtime->notify);
    free(runtime->control);
    runtime->directory = runtime->aliases = runtime->statuses = NULL;
    runtime->notify = runtime->control = NULL;
}

static int name_paths(const char *name, HfRuntime *runtime)
{
    HF_CLEANUP_FREE char *base = NULL;

    free_paths(runtime);
    int r = hf_name_of_runtime_base(&base);
    if (r >= 0)
        r = join(base, name, &runtime->directory);
    if (r >= 0)
        r = join(runtime->directory, "none", &runtime->aliases);
    if (r >= 0)
        r = join(runtime->directory, "status", &runtime->statuses);
    if (r >= 0)
        r = join(runtime->directory, "notify", &runtime->notify);
    if (r >= 0)
        r = join(runtime->directory, "control", &runtime->control);
    return r;
}

int hf_runtime_name(const char *name, HfRuntime *ret)
{
    HfRuntime runtime = {.lock = -1};

    int r = name_paths(name, &runtime);
    if (r < 0) {
        hf_runtime_release(&runtime);
        return r;
    }
    *ret = runtime;
    return 0;
}

/* The last instance also removes the directory above; if it does so just now, it is made again. */
static int make_directory(const char *path)
{
    int r = -ENOENT;

    for (int i = 0; r == -ENOENT && i < TRIES; i++)
        r = hf_file_make_directory(path, 0755);
    return r;
}

/* A container's user often cannot provide a writable place; anybody else can. */
static bool is_unwritable(int r)
{
    return r == -EROFS || ((r == -EACCES || r == -EPERM) && getpid() == 1);
}

/* Containers of a pod share abstract names, and each holdfast is process 1 in its own container. */
static int move_to_memory(HfRuntime *runtime, const char *name)
{
    HF_CLEANUP_TEXT HfText path = {0};
    HF_CLEANUP_FREE char *directory = NULL;
    char *notify;
    uint64_t unique;

    if (getentropy(&unique, sizeof(unique)) < 0)
        return -errno;
    hf_text_addf(&path, "@holdfast-%016llx/%s", (unsigned long long)unique, name);
    int r = hf_text_take(&path, &directory);
    if (r >= 0)
        r = join(directory, "notify", &notify);
    if (r < 0)
        return r;
    free(runtime->directory);
    runtime->directory = HF_STEAL(directory);
    free(runtime->notify);
    runtime->notify = notify;
    free(runtime->control);
    runtime->control = NULL;
    runtime->in_memory = true;
    return 0;
}

/* The files of a generation, gen-NUMBER-INCARNATION.* and status/NUMBER-INCARNATION.*, must stay
 * while the process in its pid file runs. */
static bool belongs_to_another(const char *path, const char *name, const void *userdata)
{
    static const char prefix[] = "gen-";
    const char *above = "/..";
    HF_CLEANUP_TEXT HfText pid_file = {0};
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;
    uint64_t pid;

    (void)userdata;
    if (strcmp(name, HF_RUNTIME_FAILURES) == 0) /* for the next holdfast */
        return true;
    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0) {
        name += sizeof(prefix) - 1;
        above = "";
    }
    hf_text_addf(&pid_file, "%s%s/%s%.*s.pid", path, above, prefix, (int)strcspn(name, "."), name);
    if (hf_file_read(hf_text_peek(&pid_file), PID_FILE_BYTES, &text, &length) < 0)
        return false;
    text[strcspn(text, "\n")] = '\0';
    HfProcess process = HF_PROCESS_NONE;
    bool runs = hf_parse_uint(text, INT32_MAX, &pid) == 0 && pid > 0 &&
                hf_process_open((pid_t)pid, &process) == 0;
    hf_process_clear(&process);
    return runs;
}

/* True for files of this holdfast, and for those of no generation or canary. */
static bool is_in_use(const char *path, const char *name, const void *userdata)
{
    static const char generation[] = "gen-";
    static const char canary[] = "canary-";
    const HfRuntime *runtime = userdata;
    HF_CLEANUP_TEXT HfText own = {0};

    if (path == runtime->directory && strncmp(name, generation, sizeof(generation) - 1) != 0 &&
        strncmp(name, canary, sizeof(canary) - 1) != 0)
        return true;
    hf_text_addf(&own, "-%lu.", (unsigned long)runtime->incarnation);
    return strstr(name, hf_text_peek(&own)) || belongs_to_another(path, name, NULL);
}

void hf_runtime_sweep(const HfRuntime *runtime)
{
    if (runtime->in_memory)
        return;
    hf_file_remove_entries(runtime->statuses, is_in_use, runtime);
    hf_file_remove_entries(runtime->directory, is_in_use, runtime);
}

int hf_runtime_begin(HfRuntime *runtime)
{
    return getentropy(&runtime->incarnation, sizeof(runtime->incarnation)) < 0 ? -errno : 0;
}

static bool is_dead(pid_t pid)
{
    HfProcess process = HF_PROCESS_NONE;
    int r = hf_process_open(pid, &process);

    hf_process_clear(&process);
    return r == -ESRCH;
}

/* Returns the descriptor. */
static int lock_directory(const char *directory, const char *name, HfText *error)
{
    HF_CLEANUP_FREE char *path = NULL;
    pid_t holder = 0;

    int r = join(directory, "lock", &path);
    if (r < 0)
        return r;
    r = hf_lock_take(path, &holder);
    if (r == -EWOULDBLOCK && holder > 0 && is_dead(holder)) {
        /* until it executes its program, a forked child shares the lock */
        hf_log(LOG_NOTICE, NULL, "waiting for a child that %s, which was killed (pid %d), left",
               name, (int)holder);
        if (hf_lock_await(path, LEFT_LOCK_MSEC) == 0 || hf_lock_discard_open(path) == 0)
            r = hf_lock_take(path, &holder);
    }
    if (r == -EWOULDBLOCK && holder > 0)
        hf_text_addf(error,
                     "an instance named %s is running already (pid %d); choose another --name",
                     name, (int)holder);
    else if (r == -EWOULDBLOCK)
        hf_text_addf(error, "an instance named %s is running already; choose another --name", name);
    else if (r < 0)
        hf_text_addf(error, "%s cannot be locked: %s", path, strerror(-r));
    return r;
}

int hf_runtime_claim(HfRuntime *runtime, const char *name, HfText *error)
{
    int r = make_directory(runtime->directory);
    if (is_unwritable(r)) {
        hf_log(LOG_NOTICE, &(HfLogFields){.error = r},
               "the runtime directory %s cannot be created: everything is kept in memory, and "
               "signals are the only control",
               runtime->directory);
        return move_to_memory(runtime, name);
    }
    if (r < 0) {
        hf_text_addf(error, "the runtime directory %s cannot be created: %s%s", runtime->directory,
                     strerror(-r), geteuid() == 0 ? "" : "; run as root, or set XDG_RUNTIME_DIR");
        return r;
    }
    r = lock_directory(runtime->directory, name, error);
    if (r < 0)
        return r;
    runtime->lock = r;
    return 0;
}

/* The paths on disk, even while the instance is in memory. */
static int remake_on_disk(HfRuntime *runtime, HfRuntime *place, const char *name, HfText *error)
{
    HF_CLEANUP_FREE char *path = NULL;
    int r = name_paths(name, place);
    if (r >= 0)
        r = join(place->directory, "lock", &path);
    if (r < 0) /* running short ourselves says nothing about the directory */
        return 0;
    if (hf_lock_is(path, runtime->lock)) /* it is in place */
        return runtime->lost;
    r = make_directory(place->directory);
    if (r < 0) {
        hf_text_addf(error, "%s cannot be created: %s", place->directory, strerror(-r));
        return r;
    }
    r = lock_directory(place->directory, name, error);
    if (r < 0)
        return r;
    hf_fd_close(runtime->lock);
    runtime->lock = r;
    return 1;
}

int hf_runtime_remake(HfRuntime *runtime, const char *name, HfText *error)
{
    HfRuntime place = {.lock = -1};

    if (runtime->in_memory && !runtime->lost)
        return 0;
    int r = remake_on_disk(runtime, &place, name, error);
    if (r > 0 && runtime->lost) {
        free_paths(runtime);
        runtime->directory = HF_STEAL(place.directory);
        runtime->aliases = HF_STEAL(place.aliases);
        runtime->statuses = HF_STEAL(place.statuses);
        runtime->notify = HF_STEAL(place.notify);
        runtime->control = HF_STEAL(place.control);
        runtime->lost = runtime->in_memory = false;
    }
    free_paths(&place);
    return r;
}

int hf_runtime_lose(HfRuntime *runtime, const char *name)
{
    int r = runtime->lost ? 0 : move_to_memory(runtime, name);

    runtime->lost |= r >= 0;
    return r;
}

void hf_runtime_release(HfRuntime *runtime)
{
    if (runtime->lock >= 0) {
        HF_CLEANUP_FREE char *base = NULL;
        hf_file_remove_directory(runtime->statuses, belongs_to_another, NULL);
        hf_file_remove_directory(runtime->directory, belongs_to_another, NULL);
        if (hf_name_of_runtime_base(&base) == 0)
            rmdir(base); /* unless other instances use it */
    }
    runtime->lock = hf_fd_close(runtime->lock);
    hf_cgroups_release(&runtime->cgroups);
    free_paths(runtime);
    *runtime = (HfRuntime){.lock = -1};
}

static void add_incarnation(const HfRuntime *runtime, HfText *path)
{
    if (runtime->incarnation != 0)
        hf_text_addf(path, "-%lu", (unsigned long)runtime->incarnation);
}

int hf_runtime_canary(const HfRuntime *runtime, size_t number, HfAddress *ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/canary.%zu", runtime->directory, number);
    return hf_address_parse(hf_text_peek(&path), ret);
}

int hf_runtime_file(const HfRuntime *runtime, uint64_t number, const char *suffix, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    if (number == 0)
        hf_text_addf(&path, "%s/canary", runtime->directory);
    else
        hf_text_addf(&path, "%s/gen-%llu", runtime->directory, (unsigned long long)number);
    add_incarnation(runtime, &path);
    hf_text_addf(&path, ".%s", suffix);
    return hf_text_take(&path, ret);
}

int hf_runtime_statuses(const HfRuntime *runtime, uint64_t number, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "%s/%llu", runtime->statuses, (unsigned long long)number);
    add_incarnation(runtime, &path);
    return hf_text_take(&path, ret);
}
