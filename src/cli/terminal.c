/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "config/options.h"

#define WIDTH  80
#define HEIGHT 24
#define GAP    2 /* blanks between columns */

bool hf_terminal_is(int fd)
{
    const char *kind = getenv("TERM");

    return isatty(fd) && kind && strcmp(kind, "dumb") != 0;
}

bool hf_terminal_has_colors(int fd)
{
    const char *no = getenv("NO_COLOR");

    return hf_terminal_is(fd) && !(no && *no);
}

void hf_terminal_size(int fd, size_t *ret_columns, size_t *ret_rows)
{
    struct winsize size = {0};

    ioctl(fd, TIOCGWINSZ, &size);
    *ret_columns = size.ws_col > 0 ? size.ws_col : WIDTH;
    *ret_rows = size.ws_row > 0 ? size.ws_row : HEIGHT;
}

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The length in bytes of the style (ESC [ ... m) or UTF-8 character at string. */
static size_t piece_length(const char *string)
{
    size_t n = 1;

    if (*string == '\033')
        return strcspn(string, "m") + 1;
    while (continues_character(string[n]))
        n++;
    return n;
}

void hf_terminal_clip(const char *lines, size_t columns, size_t rows, const char *line_end,
                      HfText *text)
{
    size_t column = 0;

    while (*lines) {
        size_t n = piece_length(lines);
        bool ends = *lines == '\n';
        if (ends && --rows == 0)
            break;
        if (ends)
            column = 0;
        else if (*lines != '\033')
            column++;
        hf_text_add(text, ends ? line_end : "");
        if (column <= columns || *lines == '\033')
            hf_text_add_bytes(text, lines, n);
        lines += n;
    }
    hf_text_add(text, line_end);
}

int hf_terminal_print(const HfText *text)
{
    return hf_log_output(text) < 0 ? HF_EXIT_FAILED : HF_EXIT_DONE;
}

void hf_style_add(HfText *text, bool colors, HfStyle style, const char *string)
{
    static const char *const codes[] = {
        [HF_STYLE_PLAIN] = "",        [HF_STYLE_HEADING] = "\033[1m", [HF_STYLE_GOOD] = "\033[32m",
        [HF_STYLE_BUSY] = "\033[33m", [HF_STYLE_BAD] = "\033[31m",    [HF_STYLE_FAINT] = "\033[2m",
    };
    bool styled = colors && style != HF_STYLE_PLAIN;

    hf_text_addf(text, "%s%s%s", styled ? codes[style] : "", string, styled ? "\033[0m" : "");
}

/* The number of UTF-8 characters, each taken to be one column wide. */
static size_t width_of(const char *string)
{
    size_t width = 0;

    for (; *string; string++)
        width += !continues_character(*string);
    return width;
}

void hf_table_clear(HfTable *table)
{
    table->cells = hf_strv_free(table->cells);
}

void hf_table_add_text(HfTable *table, HfText *cell)
{
    table->failed |= hf_strv_take(&table->cells, cell) < 0;
}

void hf_table_add(HfTable *table, const char *format, ...)
{
    HfText cell = {0};
    va_list arguments;

    va_start(arguments, format);
    hf_text_addv(&cell, format, arguments);
    va_end(arguments);
    hf_table_add_text(table, &cell);
}

void hf_table_add_row(HfTable *table, const char *const *words)
{
    for (size_t i = 0; i < table->columns; i++)
        hf_table_add(table, "%s", words[i]);
}

static void write_row(const HfTable *table, char **row, bool heading, const size_t *widths,
                      HfText *text)
{
    HF_CLEANUP_TEXT HfText line = {0};

    for (size_t i = 0; i < table->columns; i++) {
        int pad = (int)(widths[i] - width_of(row[i]));
        bool right = table->right & 1U << i;
        bool last = i + 1 == table->columns;
        hf_text_addf(&line, "%*s%s%*s", right ? pad : 0, "", row[i],
                     last ? 0 : GAP + (right ? 0 : pad), "");
    }
    while (line.length > 0 && line.data[line.length - 1] == ' ') /* empty last cells */
        line.data[--line.length] = '\0';
    hf_style_add(text, table->colors, heading ? HF_STYLE_HEADING : HF_STYLE_PLAIN,
                 hf_text_peek(&line));
    hf_text_add(text, "\n");
    hf_text_fail(text, line.failed);
}

void hf_table_write(HfTable *table, HfText *text)
{
    size_t n = hf_strv_length(table->cells);
    HF_CLEANUP_FREE size_t *widths = hf_allocate(table->columns, sizeof(*widths));

    hf_text_fail(text, table->failed || !widths);
    if (text->failed)
        return;
    for (size_t i = 0; i < n; i++) {
        size_t width = width_of(table->cells[i]);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
    for (size_t i = 0; i + table->columns <= n; i += table->columns)
        write_row(table, table->cells + i, i == 0, widths, text);
}

void hf_moment_add(HfText *text, uint64_t usec)
{
    time_t seconds = (time_t)(usec / HF_USEC_PER_SEC);
    struct tm local;
    char moment[64];

    if (usec == 0 || !localtime_r(&seconds, &local) ||
        strftime(moment, sizeof(moment), "%F %T", &local) == 0)
        hf_text_add(text, "-");
    else
        hf_text_add(text, moment);
}
