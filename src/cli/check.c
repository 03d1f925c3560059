#include <stdio.h>

#include "base/log.h"
#include "cli/verbs.h"
#include "run/check.h"

int hf_cli_check(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText report = {0};
    HF_CLEANUP_TEXT HfText error = {0};

    int problems = hf_check_run(&line->settings, &report, &error);
    if (fputs(hf_text_peek(&report), stdout) < 0 || fflush(stdout) != 0)
        return HF_EXIT_FAILED;
    if (problems < 0)
        hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    return problems == 0 ? HF_EXIT_DONE : HF_EXIT_FAILED;
}
