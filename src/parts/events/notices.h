/* SPDX-License-Identifier: MIT */
/* What happened: each thing once, to the log, to a short memory, and to whoever subscribed. What
 * the machine reports and what parts have to say are notices under the same kind of names. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "run/supervisor.h"

#define HF_NOTICES_KEPT       64
#define HF_NOTICE_NAME_MAX    31
#define HF_NOTICE_TEXT_MAX    512 /* bytes that are kept and passed on; the log gets all */
#define HF_NOTICE_SUBSCRIBERS 4

/* Each name and its MESSAGE_ID= (systemd.journal-fields(7)) are in holdfast(1), and never change.
 */
typedef struct HfNoticeKind {
    const char *name; /* of one of the machine's reports, or of a part's own */
    int level;        /* of syslog(3) */
    const char *message_id;
} HfNoticeKind;

typedef struct HfNotice {
    uint64_t realtime; /* usec, CLOCK_REALTIME */
    char name[HF_NOTICE_NAME_MAX + 1];
    int level;
    uint64_t generation; /* 0: about none */
    const char *cause;   /* why that generation was started (hf_cause_name), or ""; static */
    char *text;          /* one or more lines of printable UTF-8 */
} HfNotice;

/* notice is valid during the call. May not publish. */
typedef void (*HfNoticeCallback)(const HfNotice *notice, void *userdata);

/* A zeroed one is empty. */
typedef struct HfNotices {
    HfNotice kept[HF_NOTICES_KEPT]; /* a ring; texts owned */
    size_t first;
    size_t n;
    struct {
        HfNoticeCallback callback;
        void *userdata;
    } subscribers[HF_NOTICE_SUBSCRIBERS];
    size_t n_subscribers;
} HfNotices;

void hf_notices_clear(HfNotices *notices);

/* For as long as notices lives. More than HF_NOTICE_SUBSCRIBERS cannot happen, and asserts. */
void hf_notices_subscribe(HfNotices *notices, HfNoticeCallback callback, void *userdata);

/* text: of any bytes and length. */
void hf_notices_publish(HfNotices *notices, const HfNoticeKind *kind, uint64_t generation,
                        const char *cause, const char *text);
/* What the machine decided, in words; some of it is for the log alone. */
void hf_notices_report(HfNotices *notices, const HfSupervisor *supervisor, const HfAction *action);

/* The nth kept notice, 0 for the oldest; n < notices->n. */
const HfNotice *hf_notices_get(const HfNotices *notices, size_t n);
