/* SPDX-License-Identifier: MIT */
/* Asks systemd about a unit, from the loop and without waiting. org.freedesktop.systemd1(5). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Borrowed; "" for values that systemd does not have. */
typedef struct HfUnitState {
    const char *active;   /* ActiveState */
    const char *sub;      /* SubState */
    const char *cgroup;   /* ControlGroup */
    const char *restart;  /* Restart */
    const char *preserve; /* RuntimeDirectoryPreserve */
    uint32_t job;         /* id of the pending or running job; 0: none */
    bool directory;       /* RuntimeDirectory is set */
    bool stop_post;       /* ExecStopPost is set */
} HfUnitState;

typedef struct HfSystemd HfSystemd;

/* r 0, or negative errno: systemd cannot be asked, or did not answer in time. Called from the loop;
 * may free the object. */
typedef void (*HfSystemdAnswered)(int r, const HfUnitState *state, void *userdata);

/* Uses the bus daemon or, if none runs, for root the socket that systemctl uses. */
int hf_systemd_new(sd_event *loop, const char *unit, HfSystemdAnswered answered, void *userdata,
                   HfSystemd **ret);
/* No callback. Accepts and returns NULL. */
HfSystemd *hf_systemd_free(HfSystemd *systemd);

/* Each question gets one answer; a question during another one is asked after it. */
int hf_systemd_ask(HfSystemd *systemd);
/* From now on each change of the unit asks again. */
int hf_systemd_follow(HfSystemd *systemd);
