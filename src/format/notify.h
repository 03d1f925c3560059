/* SPDX-License-Identifier: MIT */
/* Parses one sd_notify(3) datagram. Checking credentials is the caller's business. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_NOTIFY_MAX        4096 /* bytes of a datagram that is accepted; longer ones are refused */
#define HF_NOTIFY_STATUS_MAX 256

typedef struct HfNotify {
    bool ready;
    bool reloading;
    bool alive;   /* WATCHDOG=1 */
    bool trouble; /* WATCHDOG=trigger */
    bool stopping;
    bool has_main_pid;
    int64_t main_pid; /* > 0 */
    bool has_extend_timeout;
    uint64_t extend_timeout; /* usec */
    bool has_status;
    char status[HF_NOTIFY_STATUS_MAX]; /* printable UTF-8, truncated; control characters become '?'
                                        */
} HfNotify;

/* data need not be NUL-terminated; as in systemd, one NUL at its end is accepted. Unknown keys and
 * malformed values are ignored, and of repeated keys the last valid one wins; a timeout above
 * HF_USEC_MAX is reduced to it. Returns 0, -EBADMSG for embedded NULs, or -EMSGSIZE above
 * HF_NOTIFY_MAX. */
int hf_notify_parse(const char *data, size_t length, HfNotify *ret);
