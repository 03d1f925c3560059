/* SPDX-License-Identifier: MIT */
/* What systemd says of a unit, asked in the loop: nothing here waits. org.freedesktop.systemd1(5).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Borrowed, and "" where systemd has said nothing of the kind. */
typedef struct HfUnitState {
    const char *active;   /* ActiveState */
    const char *sub;      /* SubState */
    const char *cgroup;   /* ControlGroup */
    const char *restart;  /* Restart */
    const char *preserve; /* RuntimeDirectoryPreserve */
    uint32_t job;         /* that waits or runs; 0: none */
    bool directory;       /* RuntimeDirectory names some */
    bool stop_post;       /* ExecStopPost has commands */
} HfUnitState;

typedef struct HfSystemd HfSystemd;

/* r 0, or negative errno: systemd cannot be asked, or has not answered in time. From the loop; may
 * free the object. */
typedef void (*HfSystemdAnswered)(int r, const HfUnitState *state, void *userdata);

/* Through the bus daemon, or, where none runs, root as systemctl does. */
int hf_systemd_new(sd_event *loop, const char *unit, HfSystemdAnswered answered, void *userdata,
                   HfSystemd **ret);
/* NULL is fine. No call back. Returns NULL. */
HfSystemd *hf_systemd_free(HfSystemd *systemd);

/* One answer to each question; what is asked while one is under way is asked once more after it.
 */
int hf_systemd_ask(HfSystemd *systemd);
/* From now on each change of the unit asks by itself. */
int hf_systemd_follow(HfSystemd *systemd);
