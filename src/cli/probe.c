#include "base/log.h"
#include "cli/verbs.h"
#include "parts/probe/probe_verb.h"

int hf_cli_probe(const HfCommandLine *line)
{
    HF_CLEANUP_TEXT HfText why = {0};

    if (hf_probe_run(&line->probing, &why) >= 0)
        return HF_EXIT_DONE;
    hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&why));
    return HF_EXIT_FAILED;
}
