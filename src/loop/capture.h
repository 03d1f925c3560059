/* SPDX-License-Identifier: MIT */
/* A short-lived child whose output is wanted, bounded in size and time. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "base/text.h"
#include "kernel/process.h"
#include "loop/reaper.h"

typedef struct HfCapture HfCapture;

typedef struct HfCaptured {
    siginfo_t status;   /* as the reaper reports it */
    int error;          /* negative errno if it could not be executed, else 0 */
    bool timed_out;     /* it was killed, with its group */
    bool truncated;     /* there was more output than maximum; the rest was dropped */
    const char *output; /* stdout and stderr together, NUL-terminated, valid during the call */
    size_t length;
} HfCaptured;

/* The capture has already been freed when this is called. */
typedef void (*HfCaptureCallback)(const HfCaptured *captured, void *userdata);

/* spawn: with a session of its own; stdout_fd and stderr_fd are set here. timeout: usec, including
 * the execution. Returns 0 and the capture, which ends with one callback or with hf_capture_abort,
 * or negative errno. */
int hf_capture_start(sd_event *loop, HfReaper *reaper, const HfSpawn *spawn, size_t maximum,
                     uint64_t timeout, HfCaptureCallback callback, void *userdata, HfCapture **ret);

/* The same for one of our functions in a child, see hf_process_call; what it writes to fd is
 * captured. */
int hf_capture_call(sd_event *loop, HfReaper *reaper, void (*function)(int fd, void *userdata),
                    void *argument, size_t maximum, uint64_t timeout, HfCaptureCallback callback,
                    void *userdata, HfCapture **ret);

/* Kills the child and its group, without a callback. Accepts and returns NULL. */
HfCapture *hf_capture_abort(HfCapture *capture);

/* The session of the child, which is its pid. */
pid_t hf_capture_session(const HfCapture *capture);

/* The same in a loop of its own; waits. Fills output with what the child printed. Returns 0 when it
 * exited with status 0, -EREMOTEIO when it did not, or another negative errno. */
int hf_capture_now(const HfSpawn *spawn, size_t maximum, uint64_t timeout, HfText *output);

/* ---- a shell command of the user's ---- */

/* Runs `/bin/sh -c command` in directory (NULL: the current one) with empty standard input.
 * timeout: usec. Returns as hf_capture_start. */
int hf_command_start(sd_event *loop, HfReaper *reaper, const char *command, const char *directory,
                     char *const *environment, uint64_t timeout, HfCaptureCallback callback,
                     void *userdata, HfCapture **ret);

/* Did it exit with status 0 in time? */
bool hf_command_succeeded(const HfCaptured *captured);

/* Appends "WHAT exited with status 3:" and the end of its output. timeout: the one it was started
 * with. */
void hf_command_explain(const char *what, const HfCaptured *captured, uint64_t timeout,
                        HfText *text);
