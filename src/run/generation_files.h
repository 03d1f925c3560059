/* SPDX-License-Identifier: MIT */
/* The files of a php-fpm generation: its overlay and its pid file, in the runtime directory. Where
 * that is in memory, php-fpm inherits them as descriptors after its sockets, under names such as
 * /proc/self/fd/N. proc(5), memfd_create(2). */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfFiles {
    char *overlay;  /* path; NULL except for php-fpm */
    char *pid_file; /* path */
    int overlay_fd; /* if in memory, else -1 */
    int pid_fd;
} HfFiles;

#define HF_FILES_NONE       ((HfFiles){.overlay_fd = -1, .pid_fd = -1})
#define HF_FILES_PASSED_MAX 2

/* Makes the files of that generation; number 0: a canary. statuses: see hf_plan_overlay. php-fpm
 * reads both when it starts, on USR2 and after emergency restarts, so they must live as long as it
 * does. On failure files must be removed as well. Returns 0 or negative errno. */
int hf_files_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number,
                  const char *statuses, HfFiles *files);

/* Writes the overlay again if it has been removed from disk. Returns 0 or negative errno. */
int hf_files_restore(const HfFiles *files, const HfPlan *plan, const char *statuses);

/* Puts the descriptors that php-fpm must inherit after the plan's sockets into fds, which has room
 * for HF_FILES_PASSED_MAX. Returns how many. */
size_t hf_files_pass(const HfFiles *files, int *fds);

/* Calls back whenever the pid file may have been written. Returns 0 or negative errno. */
int hf_files_watch(const HfFiles *files, const HfRuntime *runtime, sd_event *loop,
                   sd_event_inotify_handler_t callback, void *userdata, sd_event_source **ret);

/* The pid in the pid file, 0 for none. */
pid_t hf_files_pid(const HfFiles *files);

/* Removes the files on disk, and frees. */
void hf_files_remove(HfFiles *files);

/* ---- status pages ---- */

/* The private status sockets of a php-fpm generation: they tell how busy each pool is, even while
 * all of its workers are. */

/* Chooses the path of generation number's status sockets and makes the directory, if there are any;
 * otherwise *ret is unchanged. php-fpm binds them. Returns 0 or negative errno. */
int hf_scoreboard_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number, char **ret);
/* Removes them, as php-fpm only does so when it leaves by itself. */
void hf_scoreboard_remove(const HfPlan *plan, const char *statuses);
