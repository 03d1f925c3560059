/* SPDX-License-Identifier: MIT */
/* What a generation of php-fpm reads and writes by name: its overlay and its pid file. They are in
 * the runtime directory; where that is in memory they are descriptors that php-fpm inherits behind
 * its sockets, and are named /proc/self/fd/N, as it sees them. proc(5), memfd_create(2). */
#pragma once

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "run/plan.h"
#include "run/runtime.h"

typedef struct HfFiles {
    char *overlay;  /* path; NULL but for php-fpm */
    char *pid_file; /* path */
    int overlay_fd; /* in memory, else -1 */
    int pid_fd;
} HfFiles;

#define HF_FILES_NONE       ((HfFiles){.overlay_fd = -1, .pid_fd = -1})
#define HF_FILES_PASSED_MAX 2

/* Of the generation of that number, 0 for a canary. statuses: see hf_plan_overlay. php-fpm reads
 * both when it starts, on USR2 and after emergency restarts: they live as long as it does. On
 * failure files is to be removed as well. Returns 0 or negative errno. */
int hf_files_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number,
                  const char *statuses, HfFiles *files);

/* The overlay on disk, if it has been removed. Returns 0 or negative errno. */
int hf_files_restore(const HfFiles *files, const HfPlan *plan, const char *statuses);

/* Puts what php-fpm must inherit, after the plan's sockets, into fds, which has room for
 * HF_FILES_PASSED_MAX. Returns how many. */
size_t hf_files_pass(const HfFiles *files, int *fds);

/* Calls back after each time the pid file may have been written. Returns 0 or negative errno. */
int hf_files_watch(const HfFiles *files, const HfRuntime *runtime, sd_event *loop,
                   sd_event_inotify_handler_t callback, void *userdata, sd_event_source **ret);

/* The pid in the pid file, 0 for none. */
pid_t hf_files_pid(const HfFiles *files);

/* Removes what is on disk, and frees. */
void hf_files_remove(HfFiles *files);

/* ---- scoreboards ---- */

/* The scoreboards of a php-fpm generation: sockets at which each pool tells how busy it is, also
 * while no worker is free. */

/* Says where the sockets of generation number are to be and makes the place for them, if there are
 * to be any; else *ret stays as it is. php-fpm binds them. Returns 0 or negative errno. */
int hf_scoreboard_make(const HfPlan *plan, const HfRuntime *runtime, uint64_t number, char **ret);
/* php-fpm removes its sockets only when it leaves by itself. */
void hf_scoreboard_remove(const HfPlan *plan, const char *statuses);

/* statuses: NULL: there are none. Where the scoreboard of a pool is, private, or the user's own as
 * the generation on that side has it. Returns 0, -ENOENT when it has none, or negative errno. */
int hf_scoreboard_find(const HfPlan *plan, const char *statuses, size_t pool, unsigned side,
                       HfReach *ret);
