/* SPDX-License-Identifier: MIT */
/* A list of text lines, and how two of them differ. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct Lines {
    char **list;
    size_t n;
    size_t capacity;
} Lines;

/* Appends a copy; aborts when out of memory. */
void lines_add(Lines *lines, const char *line);
void lines_clear(Lines *lines);
bool lines_equal(const Lines *a, const Lines *b);
/* The lines of both as comments: "-" only expected, "+" only actual. */
void lines_diff(const Lines *expected, const Lines *actual, FILE *out);
