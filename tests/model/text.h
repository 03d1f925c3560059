/* SPDX-License-Identifier: MIT */
/* Events, actions and states of the machine as lines of the scenario language. */
#pragma once

#include <stdio.h>

#include "policy/machine.h"

#define TEXT_LINE_MAX  160
#define TEXT_STATE_MAX 512

/* machine gives the number of the generation in the event's slot; it is the one before the step. */
void text_event(const HfEvent *event, const HfMachine *machine, char ret[TEXT_LINE_MAX]);
/* One line an action; answers with the same outcome and consecutive ids share one. Returns how many
 * actions the line covers. */
size_t text_action(const HfAction *action, size_t n, char ret[TEXT_LINE_MAX]);
/* The phase and every generation in use, the oldest first. */
void text_state(const HfMachine *machine, char ret[TEXT_STATE_MAX]);

/* 250us, 100ms, 60s, for-ever. */
void text_time(uint64_t usec, char ret[TEXT_LINE_MAX]);
/* Returns 0 or -EINVAL. */
int text_parse_time(const char *text, uint64_t *ret);
