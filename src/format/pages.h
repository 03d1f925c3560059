/* SPDX-License-Identifier: MIT */
/* Lists of pages to be requested from a service, and of scripts to be compiled by it. */
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
    char *host;   /* NULL: not given */
    bool secure;  /* an https: URL */
} HfPage;

void hf_page_clear(HfPage *page);

/* Parses "PATH" or "METHOD URL", of length bytes, with optional blanks around it. Returns 1, 0 for
 * an empty line or a comment (#), -EINVAL for anything else, or -ENOMEM. */
int hf_page_parse(const char *line, size_t length, HfPage *ret);

/* Adds path, which was found below the directory before, as it is called below the directory after.
 * Only their differing beginnings are exchanged: where a deploy moved a link from /srv/1/public to
 * /srv/2/public, /srv/1 becomes /srv/2. A path elsewhere is added unchanged. */
void hf_path_moved(const char *path, size_t length, const char *before, const char *after,
                   HfText *text);

/* ---- answers of holdfast's own script, see service/php_fpm/warm.c ---- */

/* Returns 1: ret is what follows the line "ok"; 0: ret is the first line, which says what is
 * missing; -EBADMSG: there is no complete line. */
int hf_scripts_answer(const char *body, size_t length, const char **ret, size_t *ret_length);

/* Adds the paths in list, one per line, translated by hf_path_moved and each with a newline; skips
 * empty lines and paths that contain a NUL. Returns how many were added. */
size_t hf_scripts_moved(const char *list, size_t length, const char *before, const char *after,
                        HfText *text);

typedef struct HfScriptMarks {
    uint64_t compiled; /* or already there */
    uint64_t gone;     /* the file no longer exists */
    bool full;         /* the cache accepts no more */
} HfScriptMarks;

/* marks has one character for each of the first scripts, which stand one per line. Scripts to be
 * tried again are added to again. Returns how many bytes of scripts were marked. */
size_t hf_scripts_mark(const char *marks, size_t n, const char *scripts, size_t length,
                       HfScriptMarks *ret, HfText *again);
