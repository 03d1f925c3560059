/* php-fpm's status page (pm.status_path) in its plain text form. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HF_PHPFPM_STATUS_MAX (64U * 1024) /* bytes of a page that are read */

/* Of one pool, as its scoreboard counts since it started. */
typedef struct HfPhpfpmStatus {
    uint64_t accepted;     /* requests that were begun */
    uint64_t queued;       /* connections that wait; php-fpm knows it of TCP only */
    uint64_t idle;         /* workers */
    uint64_t active;       /* workers */
    uint64_t max_children; /* how often pm.max_children was reached */
} HfPhpfpmStatus;

/* page: "pool:   www\naccepted conn:   17\n...", need not be NUL-terminated; unknown lines are
 * skipped. Returns 0, -E2BIG above HF_PHPFPM_STATUS_MAX, -EBADMSG for a malformed number, or
 * -ENODATA when accepted, idle or active is missing. */
int hf_phpfpm_status_parse(const char *page, size_t length, HfPhpfpmStatus *ret);
