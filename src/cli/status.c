#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "cli/look.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/watch.h"

static int show_one(const char *name, bool json)
{
    HF_CLEANUP_VIEW HfView view = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int status = hf_look(name, hf_view_read, &view, NULL);
    if (status != HF_EXIT_DONE)
        return status;
    if (json)
        hf_show_status_json(&view, &text);
    else
        hf_show_status(&view, hf_terminal_has_colors(STDOUT_FILENO), &text);
    return hf_terminal_print(&text);
}

/* One that ends meanwhile has its line on stderr, the others are listed. */
static int list(char *const *names, bool json)
{
    HF_CLEANUP_TEXT HfText text = {0};
    int worst = HF_EXIT_DONE;

    for (size_t i = 0; names[i]; i++) {
        HF_CLEANUP_VIEW HfView view = {0};
        int status = hf_look(names[i], hf_view_read, &view, NULL);
        if (status != HF_EXIT_DONE)
            worst = status;
        else if (json)
            hf_show_status_json(&view, &text);
        else
            hf_show_line(&view, hf_terminal_has_colors(STDOUT_FILENO), &text);
    }
    int status = hf_terminal_print(&text);
    return status != HF_EXIT_DONE ? status : worst;
}

int hf_cli_status(const HfCommandLine *line)
{
    HF_CLEANUP_STRV char **names = NULL;
    HF_CLEANUP_TEXT HfText error = {0};

    if (line->call.watch)
        return hf_inputs_status(line->call.name, line->call.json);
    if (line->call.name)
        return show_one(line->call.name, line->call.json);
    int status = hf_client_list(&names, &error);
    if (status != HF_EXIT_DONE) {
        hf_log(LOG_ERR, NULL, "%s", hf_text_peek(&error));
        return status;
    }
    return names[1] ? list(names, line->call.json) : show_one(names[0], line->call.json);
}
