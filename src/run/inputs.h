/* SPDX-License-Identifier: MIT */
/* Turns signals, messages of generations on the notify socket (sd_notify(3)), and removals from the
 * runtime directory into events. */
#pragma once

#include "run/supervisor.h"

/* Blocks the signals that are handled, including SIGCHLD. Returns 0 or negative errno. */
int hf_inputs_block(void);
/* fd: an inherited notify socket, -1: opens a new one. Returns 0 or negative errno. */
int hf_inputs_new(HfSupervisor *supervisor, int fd, HfInputs **ret);
int hf_inputs_fd(const HfInputs *inputs); /* borrowed */
HfInputs *hf_inputs_free(HfInputs *inputs);
/* Makes everything that was removed from the runtime directory again if possible; lose: otherwise
 * moves it to memory. Harmless when nothing is missing. */
void hf_inputs_restore(HfInputs *inputs, bool lose);
/* Handles the messages that generations have sent so far. */
void hf_inputs_last_words(HfInputs *inputs);

/* Handles READY=1 and MAINPID= from a canary on a socket of its own, and nothing else. */
void hf_inputs_canary(HfGeneration *canary, HfNotifyAccess access, int fd);
