/* SPDX-License-Identifier: MIT */
/* A child's output, read from a pipe as it comes, up to a limit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "base/text.h"

#define HF_OUTPUT_SHOWN 2048 /* bytes of its end that are shown to people */

typedef struct HfOutput {
    int fd; /* owned: our end */
    sd_event_source *readable;
    HfText text;
    size_t maximum;
    bool truncated; /* there was more than maximum; the rest was dropped */
} HfOutput;

/* ret_writing: the child's end, owned by the caller, to be closed once the child has it. Returns 0
 * or negative errno. */
int hf_output_open(sd_event *loop, size_t maximum, HfOutput **ret, int *ret_writing);
/* Accepts and returns NULL. */
HfOutput *hf_output_free(HfOutput *output);

/* Reads what is in the pipe now, at most the size of a pipe so that endless output cannot block us.
 * Returns false at the end of the output. */
bool hf_output_read(HfOutput *output);

/* Appends ":" and the end of length bytes of output, each non-empty line printable and preceded by
 * a newline; nothing for empty output. */
void hf_output_show(const char *output, size_t length, HfText *text);
