#include "base/clock.h"
#include "cli/look.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

int hf_cli_metrics(const HfCommandLine *line)
{
    HF_CLEANUP_VIEW HfView view = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int status = hf_look(line->call.name, hf_view_read, &view, NULL);
    if (status != HF_EXIT_DONE)
        return status;
    hf_show_metrics(&view, hf_clock_realtime(), &text);
    return hf_terminal_print(&text);
}
