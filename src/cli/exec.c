#include "run/exec.h"
#include "base/log.h"
#include "cli/verbs.h"

int hf_cli_exec(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText error = {0};

    hf_exec_run(&line->settings, &error);
    hf_log_lines(LOG_ERR, NULL, hf_text_peek(&error));
    return HF_EXIT_FAILED;
}
