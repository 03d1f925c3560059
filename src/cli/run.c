#include "cli/verbs.h"
#include "daemon/supervisor.h"

int hf_cli_run(const HfCommandLine *line)
{
    return hf_supervisor_run(line);
}
