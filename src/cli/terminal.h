/* SPDX-License-Identifier: MIT */
/* What people look at: colours, columns, moments. */
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
/* And does its user want colours? no-color.org: NO_COLOR set and not empty says no. */
bool hf_terminal_has_colors(int fd);
/* Columns and rows of the terminal at fd, 80 and 24 when it does not say. */
void hf_terminal_size(int fd, size_t *ret_columns, size_t *ret_rows);

/* Adds what of lines fits, each ended with line_end; characters are never cut, styles never lost.
 * No newline follows the last row. */
void hf_terminal_clip(const char *lines, size_t columns, size_t rows, const char *line_end,
                      HfText *text);

/* Writes text whole to stdout. Returns an exit status; a failure has been logged. */
int hf_terminal_print(const HfText *text);

/* Colours only when colors. */
void hf_style_add(HfText *text, bool colors, HfStyle style, const char *string);

/* Rows of columns that are as wide as their widest cell. A zeroed one with columns set is empty. */
typedef struct HfTable {
    size_t columns;
    unsigned right; /* bits 1 << column, of those that are aligned to the right */
    bool colors;    /* the first row is a heading */
    char **cells;   /* owned vector, row by row */
    bool failed;
} HfTable;

void hf_table_clear(HfTable *table);
#define HF_CLEANUP_TABLE __attribute__((cleanup(hf_table_clear)))
void hf_table_add(HfTable *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As many words as there are columns. */
void hf_table_add_row(HfTable *table, const char *const *words);
/* Takes cell, which is empty then. */
void hf_table_add_text(HfTable *table, HfText *cell);
void hf_table_write(HfTable *table, HfText *text);

/* A moment of CLOCK_REALTIME in the caller's time zone: "2026-01-31 12:00:59"; 0 gives "-". */
void hf_moment_add(HfText *text, uint64_t usec);
