/* SPDX-License-Identifier: MIT */
/* Output for people: colours, columns, moments. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

typedef enum HfStyle {
    HF_STYLE_PLAIN,
    HF_STYLE_HEADING,
    HF_STYLE_GOOD,
    HF_STYLE_BUSY,
    HF_STYLE_BAD,
    HF_STYLE_FAINT,
} HfStyle;

/* Is fd a terminal that can move its cursor? */
bool hf_terminal_is(int fd);
/* Does its user want colours as well? no-color.org: a non-empty NO_COLOR says no. */
bool hf_terminal_has_colors(int fd);
/* Size of the terminal at fd; 80 columns and 24 rows when unknown. */
void hf_terminal_size(int fd, size_t *ret_columns, size_t *ret_rows);

/* Adds as much of lines as fits, each line ended with line_end; never cuts a character or loses a
 * style. No newline follows the last row. */
void hf_terminal_clip(const char *lines, size_t columns, size_t rows, const char *line_end,
                      HfText *text);

/* Writes all of text to stdout. Returns an exit status; a failure has been logged. */
int hf_terminal_print(const HfText *text);

/* Adds string, in style if colors. */
void hf_style_add(HfText *text, bool colors, HfStyle style, const char *string);

/* Rows of columns as wide as their widest cell. A zeroed table with columns set is empty. */
typedef struct HfTable {
    size_t columns;
    unsigned right; /* columns to align to the right, 1 << column each */
    bool colors;    /* the first row is a heading */
    char **cells;   /* owned vector, row by row */
    bool failed;
} HfTable;

void hf_table_clear(HfTable *table);
#define HF_CLEANUP_TABLE __attribute__((cleanup(hf_table_clear)))
void hf_table_add(HfTable *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* words: one for each column. */
void hf_table_add_row(HfTable *table, const char *const *words);
/* Moves cell's text into the table, and leaves cell empty. */
void hf_table_add_text(HfTable *table, HfText *cell);
void hf_table_write(HfTable *table, HfText *text);

/* Adds a moment of CLOCK_REALTIME in the local time zone: "2026-01-31 12:00:59"; "-" for 0. */
void hf_moment_add(HfText *text, uint64_t usec);
