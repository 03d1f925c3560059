/* SPDX-License-Identifier: MIT */
/* What a child prints, through a pipe: read as it comes, bounded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/text.h"

#define HF_OUTPUT_SHOWN 2048 /* bytes of its end that people are shown */

typedef struct HfOutput {
    int fd; /* owned: the end that is read */
    sd_event_source *readable;
    HfText text;
    size_t maximum;
    bool truncated; /* there was more than maximum; the rest was dropped */
} HfOutput;

/* ret_writing: the child's end, owned by the caller, to be closed once the child has it. Returns 0
 * or negative errno. */
int hf_output_open(sd_event *loop, size_t maximum, HfOutput **ret, int *ret_writing);
/* NULL is fine. Returns NULL. */
HfOutput *hf_output_free(HfOutput *output);

/* Reads what is in the pipe now, or as much as a pipe can hold of what comes without end. Returns
 * false at the end of the output. */
bool hf_output_read(HfOutput *output);

/* Appends ":" and the end of length bytes of output, each line that is not empty printable and
 * after a newline; nothing when there is none. */
void hf_output_show(const char *output, size_t length, HfText *text);
