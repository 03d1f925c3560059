/* A shell command of the user's, run beside the service: bounded in output and time. */
#pragma once

#include <stdbool.h>

#include "run/capture.h"

/* Runs `/bin/sh -c command` in directory (NULL: as it is) with holdfast's own environment and the
 * entries of more (NULL: none). Its standard input is empty. timeout: usec. Returns as
 * hf_capture_start. */
int hf_command_start(sd_event *loop, HfReaper *reaper, const char *command, const char *directory,
                     const char *const *more, uint64_t timeout, HfCaptureCallback callback,
                     void *userdata, HfCapture **ret);

/* Did it end well, with status 0 and in time? */
bool hf_command_succeeded(const HfCaptured *captured);

/* Appends "WHAT exited with status 3:" and the end of its output. timeout: as it was given. */
void hf_command_explain(const char *what, const HfCaptured *captured, uint64_t timeout,
                        HfText *text);
