/* What the verbs that wait say meanwhile, on stderr: a line that moves on on a terminal, else a
 * line for each event. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct HfProgress {
    const char *verb;
    bool quiet;
    bool terminal;
    uint64_t begun; /* usec, CLOCK_MONOTONIC */
    char *last;     /* the event that the line shows; owned */
} HfProgress;

void hf_progress_begin(HfProgress *progress, const char *verb, bool quiet);
void hf_progress_event(HfProgress *progress, const char *text);
/* Shows how long it takes; to be called once a second while progress->terminal. */
void hf_progress_tick(HfProgress *progress);
/* Removes the line that moves, and on success leaves one that says it. */
void hf_progress_end(HfProgress *progress, bool done);
