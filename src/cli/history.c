#include <unistd.h>

#include "cli/look.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

int hf_cli_history(const HfCommandLine *line)
{
    HF_CLEANUP_VIEW HfView view = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int status = hf_look(line->call.name, hf_view_read_history, &view, NULL);
    if (status != HF_EXIT_DONE)
        return status;
    if (line->call.json)
        hf_show_history_json(&view, &text);
    else
        hf_show_history(&view, hf_terminal_has_colors(STDOUT_FILENO), &text);
    return hf_terminal_print(&text);
}
