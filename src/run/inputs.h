/* SPDX-License-Identifier: MIT */
/* Signals, what generations say on the notify socket, sd_notify(3), and what is removed from the
 * runtime directory, to events. */
#pragma once

#include "run/supervisor.h"

/* Blocks the signals that are taken, and those of children. Returns 0 or negative errno. */
int hf_inputs_block(void);
/* fd: the notify socket, taken over, -1: opened anew. Returns 0
 * or negative errno. */
int hf_inputs_new(HfSupervisor *supervisor, int fd, HfInputs **ret);
int hf_inputs_fd(const HfInputs *inputs); /* borrowed */
HfInputs *hf_inputs_free(HfInputs *inputs);
/* Whatever was removed from the runtime directory is there again, if that can be; lose: or else in
 * memory. Harmless when nothing was. */
void hf_inputs_restore(HfInputs *inputs, bool lose);
/* Hears at once what generations have said until now. */
void hf_inputs_last_words(HfInputs *inputs);

/* A canary on a socket of its own: its READY=1 and MAINPID=, nothing else. */
void hf_inputs_canary(HfGeneration *canary, HfNotifyAccess access, int fd);
