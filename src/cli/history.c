/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "base/parse.h"
#include "base/text.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"

static void add_history(const HfView *view, bool colors, HfText *text)
{
    static const char *const heading[] = {"GENERATION", "CAUSE",     "STARTED", "READY AFTER",
                                          "LIFETIME",   "PROCESSES", "END"};
    HF_CLEANUP_TABLE HfTable table = {.columns = 7, .right = 1 << 0 | 1 << 5, .colors = colors};

    hf_table_add_row(&table, heading);
    for (size_t i = 0; i < view->n_history; i++) {
        const HfViewPast *past = &view->history[i];
        HF_CLEANUP_TEXT HfText started = {0};
        HF_CLEANUP_TEXT HfText ready = {0};
        HF_CLEANUP_TEXT HfText lifetime = {0};

        hf_moment_add(&started, past->started);
        if (past->ready > 0)
            hf_text_add_time(&ready, past->ready_after);
        if (past->lifetime < HF_USEC_PER_SEC * 60)
            hf_text_add_time(&lifetime, past->lifetime);
        else
            hf_text_add_age(&lifetime, past->lifetime);
        hf_table_add(&table, "%llu", (unsigned long long)past->number);
        hf_table_add(&table, "%s", past->cause);
        hf_table_add_text(&table, &started);
        hf_table_add(&table, "%s", past->ready > 0 ? hf_text_peek(&ready) : "-");
        hf_table_add_text(&table, &lifetime);
        if (past->processes > 0)
            hf_table_add(&table, "%u", past->processes);
        else
            hf_table_add(&table, "-");
        hf_table_add(&table, "%s", past->ended > 0 ? past->end : "-");
    }
    hf_table_write(&table, text);
}

int hf_cli_history(const HfCommandLine *line)
{
    HF_CLEANUP_VIEWS HfViews views = {0};
    HF_CLEANUP_TEXT HfText text = {0};

    int status = hf_views_read_history(line->call.name, &views);
    if (status != HF_EXIT_DONE)
        return status;
    if (line->call.json)
        hf_view_add_history_json(views.views, &text);
    else
        add_history(views.views, hf_terminal_has_colors(STDOUT_FILENO), &text);
    return hf_terminal_print(&text);
}
