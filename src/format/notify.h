/* SPDX-License-Identifier: MIT */
/* One sd_notify(3) datagram to a message. Pure: credentials are the caller's business. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HF_NOTIFY_MAX        4096 /* bytes of a datagram that are looked at; longer ones are refused */
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
    char status[HF_NOTIFY_STATUS_MAX]; /* printable UTF-8, cut; control characters become '?' */
} HfNotify;

/* data need not be NUL-terminated; one NUL at its end is taken as systemd takes it. Unknown keys,
 * repeated keys (the last good one wins) and malformed values of known ones (ignored) are no
 * errors; a timeout above HF_USEC_MAX becomes that. Returns 0, -EBADMSG for embedded NULs, or
 * -EMSGSIZE above HF_NOTIFY_MAX. */
int hf_notify_parse(const char *data, size_t length, HfNotify *ret);
