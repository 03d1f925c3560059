/* The lines that php-fpm writes to stderr: "[date] LEVEL: text" (zlog.c), and plain ones of PHP
 * itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef enum HfPhpfpmLevel {
    HF_PHPFPM_PLAIN, /* no prefix: a syntax error, the dynamic loader, the usage */
    HF_PHPFPM_DEBUG,
    HF_PHPFPM_NOTICE,
    HF_PHPFPM_WARNING,
    HF_PHPFPM_ERROR,
    HF_PHPFPM_ALERT,
    HF_PHPFPM_LEVEL_MAX_,
} HfPhpfpmLevel;

typedef struct HfPhpfpmLine {
    HfPhpfpmLevel level;
    const char *text; /* borrowed, behind the prefix; not NUL-terminated */
    size_t length;
    bool cut; /* php-fpm has shortened it to log_limit and put "..." at its end */
} HfPhpfpmLine;

/* Takes one line off the *rest_length bytes at *rest. Returns false when there is none. */
bool hf_phpfpm_line_next(const char **rest, size_t *rest_length, HfPhpfpmLine *ret);
