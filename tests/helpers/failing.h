/* SPDX-License-Identifier: MIT */
/* Failing calls within a unit test. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The call after n more fails, with error (0: what is usual for it), here and in a child that is
 * forked before it. */
void hf_failing_begin(size_t n, int error);
/* Nothing fails any more. Returns whether one has failed. */
bool hf_failing_end(void);
