/* SPDX-License-Identifier: MIT */
#include "run/generation_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/file.h"
#include "kernel/socket.h"

#define PID_FILE_BYTES 32
#define PID_FILE_MODE  0644
/* It contains the secret path of the status page and, after a crash, the whole configuration,
 * including env[]. */
#define OVERLAY_MODE 0600

/* A service's user must not create files in our directory, but may write its own file. */
static int give_to_user(const char *path, const HfCredentials *credentials)
{
    if (!credentials->has_user)
        return 0;
    return lchown(path, credentials->uid, credentials->gid) < 0 ? -errno : 0;
}

static int write_overlay(const HfPlan *plan, const char *statuses, const HfFiles *files)
{
    HF_CLEANUP_TEXT HfText text = {0};

    int r = plan->adapter->overlay(plan, files->pid_file, statuses, &text);
    if (r >= 0)
        r = hf_file_write(files->overlay, hf_text_peek(&text), text.length, OVERLAY_MODE);
    return r < 0 ? r : give_to_user(files->overlay, &plan->credentials);
}

static int make_on_disk(const HfPlan *plan, const HfRuntime *runtime, uint64_t number,
                        const char *statuses, HfFiles *files)
{
    int r = hf_runtime_file(runtime, number, "pid", &files->pid_file);
    if (r >= 0)
        r = hf_runtime_file(runtime, number, "conf", &files->overlay);
    if (r >= 0)
        r = write_overlay(plan, statuses, files);
    if (r < 0 || !plan->credentials.has_user)
        return r;
    r = hf_file_write(files->pid_file, "", 0, PID_FILE_MODE);
    return r < 0 ? r : give_to_user(files->pid_file, &plan->credentials);
}

int hf_files_restore(const HfFiles *files, const HfPlan *plan, const char *statuses)
{
    if (!files->overlay || files->overlay_fd >= 0 || access(files->overlay, F_OK) == 0)
        return 0;
    return write_overlay(plan, statuses, files);
}

static int name_inherited(const HfPlan *plan, size_t index, char **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    hf_text_addf(&path, "/proc/self/fd/%zu",
                 SD_LISTEN_FDS_START + plan->placement.n_sources + index);
    return hf_text_take(&path, ret);
}

/* It is opened anew by name, so owner and mode matter. */
static int give_in_memory(const HfFiles *files, const HfCredentials *credentials)
{
    if (fchmod(files->pid_fd, PID_FILE_MODE) < 0)
        return -errno;
    if (credentials->has_user && fchown(files->pid_fd, credentials->uid, credentials->gid) < 0)
        return -errno;
    return 0;
}

static int make_in_memory(const HfPlan *plan, const char *statuses, HfFiles *files)
{
    HF_CLEANUP_TEXT HfText text = {0};

    int r = name_inherited(plan, 0, &files->overlay);
    if (r >= 0)
        r = name_inherited(plan, 1, &files->pid_file);
    if (r >= 0)
        r = plan->adapter->overlay(plan, files->pid_file, statuses, &text);
    if (r >= 0)
        r = files->overlay_fd =
            hf_memfile_make("holdfast-overlay", hf_text_peek(&text), text.length);
    if (r >= 0)
        r = files->pid_fd = hf_memfile_open("holdfast-pid");
    return r < 0 ? r : give_in_memory(files, &plan->credentials);
}

int hf_files_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number,
                  const char *statuses, HfFiles *files)
{
    return runtime->in_memory ? make_in_memory(plan, statuses, files)
                              : make_on_disk(plan, runtime, number, statuses, files);
}

size_t hf_files_pass(const HfFiles *files, int *fds)
{
    if (files->pid_fd < 0)
        return 0;
    fds[0] = files->overlay_fd;
    fds[1] = files->pid_fd;
    return 2;
}

int hf_files_watch(const HfFiles *files, const HfRuntime *runtime, sd_event *loop,
                   sd_event_inotify_handler_t callback, void *userdata, sd_event_source **ret)
{
    HF_CLEANUP_TEXT HfText path = {0};

    if (files->pid_fd >= 0)
        hf_text_addf(&path, "/proc/self/fd/%d", files->pid_fd);
    else
        hf_text_add(&path, runtime->directory);
    return sd_event_add_inotify(loop, ret, hf_text_peek(&path), HF_RUNTIME_CHANGES, callback,
                                userdata);
}

pid_t hf_files_pid(const HfFiles *files)
{
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;
    uint64_t pid;

    int r = files->pid_fd >= 0 ? hf_memfile_read(files->pid_fd, PID_FILE_BYTES, &text, &length)
                               : hf_file_read(files->pid_file, PID_FILE_BYTES, &text, &length);
    if (r < 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    return hf_parse_uint(text, INT32_MAX, &pid) == 0 ? (pid_t)pid : 0;
}

void hf_files_remove(HfFiles *files)
{
    bool on_disk = files->pid_fd < 0;

    if (files->overlay && on_disk)
        unlink(files->overlay);
    if (files->pid_file && on_disk)
        unlink(files->pid_file);
    hf_fd_close(files->overlay_fd);
    hf_fd_close(files->pid_fd);
    free(files->overlay);
    free(files->pid_file);
    *files = HF_FILES_NONE;
}

/* ---- status pages ---- */

static bool is_private(const HfPlan *plan, size_t pool)
{
    const unsigned both = HF_POOL_COUNTS | HF_POOL_LISTENS;

    return (plan->pools[pool].probe & both) == both;
}

/* The longest path for those pools that need one; 0: none does. */
static size_t longest(const HfPlan *plan, const char *statuses)
{
    char path[HF_ADDRESS_TEXT_MAX];
    size_t length = 0;

    for (size_t i = 0; i < plan->n_pools; i++) {
        if (plan->pools[i].warms)
            hf_plan_warm_socket(statuses, i, false, path);
        else if (is_private(plan, i))
            hf_plan_status_socket(statuses, i, path);
        else
            continue;
        length = strlen(path) > length ? strlen(path) : length;
    }
    return length;
}

int hf_scoreboard_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number, char **ret)
{
    const HfCredentials *credentials = &plan->credentials;
    HF_CLEANUP_FREE char *statuses = NULL;

    bool wanted = hf_plan_is_probed(plan) || hf_plan_warms(plan);
    if (!wanted || runtime->in_memory) /* php-fpm cannot listen on abstract sockets */
        return 0;
    int r = hf_runtime_statuses(runtime, number, &statuses);
    if (r < 0)
        return r;
    if (longest(plan, statuses) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        hf_log(LOG_WARNING, &(HfLogFields){.generation = number},
               "%s is too long a path for sockets: neither can a busy php-fpm be told from a dead "
               "one, "
               "nor its opcode cache be warmed; "
               "choose a shorter --name",
               statuses);
        return 0;
    }
    bool made = mkdir(runtime->statuses, 0755) == 0;
    if (!made && errno != EEXIST)
        return -errno;
    /* php-fpm's user creates the sockets, our group may use and remove them: neither needs a
     * capability */
    if (credentials->has_user && ((made && chmod(runtime->statuses, 0770) < 0) ||
                                  lchown(runtime->statuses, credentials->uid, getegid()) < 0))
        return -errno;
    *ret = HF_STEAL(statuses);
    return 0;
}

void hf_scoreboard_remove(const HfPlan *plan, const char *statuses)
{
    char path[HF_ADDRESS_TEXT_MAX];

    if (!statuses)
        return;
    for (size_t i = 0; i < plan->n_pools; i++) {
        hf_plan_status_socket(statuses, i, path);
        if (is_private(plan, i))
            unlink(path);
        for (int left = 0; left < 2 && plan->pools[i].warms; left++) {
            hf_plan_warm_socket(statuses, i, left != 0, path);
            unlink(path);
        }
    }
}
