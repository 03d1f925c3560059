#include "cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/terminal.h"
#include "format/quantity.h"

#define START_OF_LINE "\r\033[K"

void hf_progress_begin(HfProgress *progress, const char *verb, bool quiet)
{
    *progress = (HfProgress){
        .verb = verb,
        .quiet = quiet,
        .terminal = !quiet && hf_terminal_is(STDERR_FILENO),
        .begun = hf_clock_monotonic(),
    };
    hf_progress_tick(progress);
}

/* Some events name the verb themselves. */
static bool begins_with(const char *text, const char *verb)
{
    size_t length = strlen(verb);

    return strncmp(text, verb, length) == 0 && text[length] == ':';
}

void hf_progress_tick(HfProgress *progress)
{
    HF_CLEANUP_TEXT HfText line = {0};
    HF_CLEANUP_TEXT HfText time = {0};
    size_t width = hf_terminal_width(STDERR_FILENO);
    uint64_t seconds = (hf_clock_monotonic() - progress->begun) / 1000000;

    if (!progress->terminal)
        return;
    if (!progress->last || !begins_with(progress->last, progress->verb))
        hf_text_addf(&line, "%s: ", progress->verb);
    hf_text_add(&line, progress->last ? progress->last : "waiting");
    if (seconds > 0)
        hf_text_addf(&time, "  %llu s", (unsigned long long)seconds);
    /* a line that wraps could not be taken back; bytes are at least as many as columns */
    size_t room = width > time.length + 1 ? width - time.length - 1 : 0;
    fprintf(stderr, START_OF_LINE "%.*s%s", (int)room, hf_text_peek(&line), hf_text_peek(&time));
}

void hf_progress_event(HfProgress *progress, const char *text)
{
    HF_CLEANUP_FREE char *first = strndup(text, strcspn(text, "\n"));

    if (progress->quiet)
        return;
    if (!progress->terminal) {
        hf_log_lines(LOG_INFO, NULL, text);
        return;
    }
    if (first)
        hf_string_set(&progress->last, first);
    hf_progress_tick(progress);
}

void hf_progress_end(HfProgress *progress, bool done)
{
    HF_CLEANUP_TEXT HfText time = {0};

    hf_text_add_time(&time, hf_clock_monotonic() - progress->begun);
    if (progress->terminal)
        fputs(START_OF_LINE, stderr);
    if (progress->terminal && done)
        fprintf(stderr, "%s: done after %s\n", progress->verb, hf_text_peek(&time));
    free(progress->last);
    *progress = (HfProgress){0};
}
