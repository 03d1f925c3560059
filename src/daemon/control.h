/* The D-Bus object on the private socket. holdfast-control(7), sd-bus(3). */
#pragma once

#include "daemon/supervisor.h"

int hf_control_new(HfSupervisor *supervisor, HfControl **ret);
HfControl *hf_control_free(HfControl *control);

/* The one answer to request id. */
void hf_control_answer(HfControl *control, uint64_t id, HfOutcome outcome, const char *text);

/* After each step: tells the clients which properties have changed. */
void hf_control_update(HfControl *control);
