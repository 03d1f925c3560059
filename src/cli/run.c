#include "cli/verbs.h"
#include "daemon/self.h"
#include "daemon/selftest.h"
#include "daemon/supervisor.h"

int hf_cli_run(const HfCommandLine *line)
{
    if (hf_self_mode() == HF_SELF_TESTED)
        return hf_selftest_run(&line->settings);
    return hf_supervisor_run(line);
}
