#include "cli/verbs.h"
#include "parts/survive/reexec.h"
#include "parts/survive/self_test.h"
#include "run/supervisor.h"

int hf_cli_run(const HfCommandLine *line)
{
    if (hf_reexec_mode() == HF_SELF_TESTED)
        return hf_selftest_run(&line->settings);
    return hf_supervisor_run(line);
}
