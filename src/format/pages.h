/* SPDX-License-Identifier: MIT */
/* Lists of pages that a service is to be asked for, and of scripts that it is to compile: pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define HF_PAGES_MAX 65536 /* bytes of a line */

/* One line; owned strings. */
typedef struct HfPage {
    char *method; /* GET or HEAD */
    char *target; /* as hf_http_is_target takes it */
    char *host;   /* NULL: none was given */
    bool secure;  /* of https: */
} HfPage;

void hf_page_clear(HfPage *page);

/* "PATH" or "METHOD URL", blanks around, of length bytes. Returns 1, 0 for one that is empty or
 * begins with #, -EINVAL for what is neither, or -ENOMEM. */
int hf_page_parse(const char *line, size_t length, HfPage *ret);

/* path, which lay below the directory before, as it is called below the directory after: where only
 * the beginnings of the two differ, by these (a deploy moved a link: /srv/1/public to
 * /srv/2/public is /srv/1 to /srv/2). One that lay elsewhere is added as it is. */
void hf_path_moved(const char *path, size_t length, const char *before, const char *after,
                   HfText *text);

/* ---- what a script of holdfast's answers, see service/php_fpm/warm.c ---- */

/* Returns 1: ret is what follows the line "ok"; 0: it is the first line, which says what is
 * missing; -EBADMSG: there is no whole line. */
int hf_scripts_answer(const char *body, size_t length, const char **ret, size_t *ret_length);

/* Adds the paths of list, a line each, as hf_path_moved does, each with a newline; what has a NUL
 * in it, and empty lines, are left out. Returns how many. */
size_t hf_scripts_moved(const char *list, size_t length, const char *before, const char *after,
                        HfText *text);

typedef struct HfScriptMarks {
    uint64_t compiled; /* or there already */
    uint64_t gone;     /* no file any more */
    bool full;         /* the cache takes no more */
} HfScriptMarks;

/* marks has a character for each of the first scripts, a line each: what is to be tried again is
 * added to again. Returns how many bytes of scripts were marked. */
size_t hf_scripts_mark(const char *marks, size_t n, const char *scripts, size_t length,
                       HfScriptMarks *ret, HfText *again);
