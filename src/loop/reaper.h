/* SPDX-License-Identifier: MIT */
/* The one place that reaps, including orphans that we inherit: waitid(P_ALL) on SIGCHLD. waitid(2).
 */
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "kernel/process.h"

typedef struct HfReaper HfReaper;

/* info: si_pid, si_code (CLD_EXITED, CLD_KILLED, CLD_DUMPED) and si_status. The watch has ended by
 * then. */
typedef void (*HfReaperCallback)(const siginfo_t *info, void *userdata);

/* Makes the process a subreaper (prctl(2)) and handles SIGCHLD, which must be blocked. Returns 0 or
 * negative errno. */
int hf_reaper_new(sd_event *loop, HfReaper **ret);
/* Restores the subreaper attribute. Accepts and returns NULL. */
HfReaper *hf_reaper_free(HfReaper *reaper);

/* Calls back once when pid, one of our children, has been reaped. Returns 0 or -ENOMEM. */
int hf_reaper_watch(HfReaper *reaper, pid_t pid, HfReaperCallback callback, void *userdata);
/* Reaps all ended children without waiting for a SIGCHLD. */
void hf_reaper_sweep(HfReaper *reaper);
/* Cancels the callback; the process is still reaped. */
void hf_reaper_forget(HfReaper *reaper, pid_t pid);
/* The same for a watched process that was sent SIGKILL: freeing the reaper waits up to two seconds
 * for its end. Takes ownership of process's descriptor. */
void hf_reaper_killed(HfReaper *reaper, HfProcess *process);

/* ---- a loop for a single task: SIGCHLD blocked, with a reaper ---- */

/* Accuracy of a timer: a twentieth, since sd-event's default of 250 ms would double short ones.
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
