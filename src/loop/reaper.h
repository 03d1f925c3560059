/* SPDX-License-Identifier: MIT */
/* The one place that reaps: waitid(P_ALL) on SIGCHLD, orphans that were given to us included.
 * waitid(2). */
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "kernel/process.h"

typedef struct HfReaper HfReaper;

/* info: si_pid, si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED) and si_status. The watch has ended
 * already. */
typedef void (*HfReaperCallback)(const siginfo_t *info, void *userdata);

/* Makes the process a subreaper (prctl(2)) and takes SIGCHLD, which must be blocked. Returns 0 or
 * negative errno. */
int hf_reaper_new(sd_event *loop, HfReaper **ret);
/* No subreaper any more, unless it was one before. NULL is fine. Returns NULL. */
HfReaper *hf_reaper_free(HfReaper *reaper);

/* Calls back once when pid, a child of ours, has been reaped. Returns 0 or -ENOMEM. */
int hf_reaper_watch(HfReaper *reaper, pid_t pid, HfReaperCallback callback, void *userdata);
/* Reaps what has ended, whatever SIGCHLD told or did not. */
void hf_reaper_sweep(HfReaper *reaper);
/* No call back any more; the process is still reaped. */
void hf_reaper_forget(HfReaper *reaper, pid_t pid);
/* The same of one that is watched and was sent SIGKILL: the reaper is freed only when it is gone,
 * or after two seconds. Takes the descriptor of process. */
void hf_reaper_killed(HfReaper *reaper, HfProcess *process);

/* ---- a loop for one task: SIGCHLD blocked, a reaper on it ---- */

/* Of a timer: a twentieth, where sd-event's own default of 250 ms would double the short ones.
 * sd_event_add_time(3). */
#define HF_LOOP_ACCURACY(usec) ((usec) / 20 + 1)

typedef struct HfLoop {
    sd_event *event;
    HfReaper *reaper;
} HfLoop;

/* Returns 0 or negative errno. */
int hf_loop_open(HfLoop *ret);
/* Unblocks SIGCHLD again. */
void hf_loop_close(HfLoop *loop);
#define HF_CLEANUP_LOOP __attribute__((cleanup(hf_loop_close)))
