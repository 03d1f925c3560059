/* A loop for one task: SIGCHLD blocked, a reaper on it. */
#pragma once

#include <systemd/sd-event.h>

#include "run/reaper.h"

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
