/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include <stdlib.h>
#include <string.h>

void lines_add(Lines *lines, const char *line)
{
    if (lines->n == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 16;
        lines->list = realloc(lines->list, lines->capacity * sizeof(*lines->list));
        if (!lines->list)
            abort();
    }
    char *copy = strdup(line);
    if (!copy)
        abort();
    lines->list[lines->n++] = copy;
}

void lines_clear(Lines *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        free(lines->list[i]);
    free(lines->list);
    *lines = (Lines){0};
}

bool lines_equal(const Lines *a, const Lines *b)
{
    bool equal = a->n == b->n;

    for (size_t i = 0; equal && i < a->n; i++)
        equal = strcmp(a->list[i], b->list[i]) == 0;
    return equal;
}

/* Whether the line stands in lines at or after from; ret gets its place. */
static bool find_line(const Lines *lines, size_t from, const char *line, size_t *ret)
{
    for (size_t i = from; i < lines->n; i++) {
        if (strcmp(lines->list[i], line) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

void lines_diff(const Lines *expected, const Lines *actual, FILE *out)
{
    size_t next = 0;

    for (size_t i = 0; i < expected->n; i++) {
        size_t same;
        if (!find_line(actual, next, expected->list[i], &same)) {
            fprintf(out, "# - %s\n", expected->list[i]);
            continue;
        }
        while (next < same)
            fprintf(out, "# + %s\n", actual->list[next++]);
        fprintf(out, "#   %s\n", expected->list[i]);
        next++;
    }
    while (next < actual->n)
        fprintf(out, "# + %s\n", actual->list[next++]);
}
