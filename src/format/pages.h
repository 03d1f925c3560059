/* SPDX-License-Identifier: MIT */
/* Lists of pages that a service is to be asked for: pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

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
