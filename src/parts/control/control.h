/* The D-Bus object on the private socket. holdfast-control(7), sd-bus(3). */
#pragma once

#include "run/supervisor.h"

/* fd: the listening socket, taken over, -1: bound anew. Returns 0 or negative errno. */
int hf_control_new(HfSupervisor *supervisor, int fd, HfControl **ret);
int hf_control_fd(const HfControl *control); /* borrowed */
HfControl *hf_control_free(HfControl *control);

/* The one answer to request id; kept for a while for UpgradeResult when nobody waits for it. */
void hf_control_answer(HfControl *control, uint64_t id, HfOutcome outcome, const char *text);

/* After each step: tells the clients which properties have changed. */
void hf_control_update(HfControl *control);
