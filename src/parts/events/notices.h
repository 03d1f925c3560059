/* SPDX-License-Identifier: MIT */
/* What happened, published once each: to the log, a short memory, and subscribers. The machine's
 * reports and the parts' own notices share one kind of name. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "run/supervisor.h"

#define HF_NOTICES_KEPT       64
#define HF_NOTICE_NAME_MAX    31
#define HF_NOTICE_TEXT_MAX    512 /* bytes kept and sent to subscribers; the log gets all */
#define HF_NOTICE_SUBSCRIBERS 4

/* Names and MESSAGE_ID= (systemd.journal-fields(7)) are listed in holdfast(1), and never change. */
typedef struct HfNoticeKind {
    const char *name; /* of a report of the machine, or a part's own */
    int level;        /* as in syslog(3) */
    const char *message_id;
} HfNoticeKind;

typedef struct HfNotice {
    uint64_t realtime; /* usec, CLOCK_REALTIME */
    char name[HF_NOTICE_NAME_MAX + 1];
    int level;
    uint64_t generation; /* 0: none */
    const char *cause;   /* why that generation was started (hf_cause_name), or ""; static */
    char *text;          /* one or more lines of printable UTF-8 */
} HfNotice;

/* notice is valid during the call. Must not publish. */
typedef void (*HfNoticeCallback)(const HfNotice *notice, void *userdata);

/* A zeroed one is empty. */
typedef struct HfNotices {
    HfNotice *kept; /* a ring of HF_NOTICES_KEPT once there are as many; owns its texts */
    size_t capacity;
    size_t first;
    size_t n;
    struct {
        HfNoticeCallback callback;
        void *userdata;
    } subscribers[HF_NOTICE_SUBSCRIBERS];
    size_t n_subscribers;
} HfNotices;

void hf_notices_clear(HfNotices *notices);

/* Subscribes for as long as notices lives. Asserts that there are at most HF_NOTICE_SUBSCRIBERS. */
void hf_notices_subscribe(HfNotices *notices, HfNoticeCallback callback, void *userdata);

/* text: any bytes, of any length. */
void hf_notices_publish(HfNotices *notices, const HfNoticeKind *kind, uint64_t generation,
                        const char *cause, const char *text);
/* Publishes a report of the machine in words; some are for the log only. */
void hf_notices_report(HfNotices *notices, const HfSupervisor *supervisor, const HfAction *action);

/* The nth kept notice, 0 for the oldest; n < notices->n. */
const HfNotice *hf_notices_get(const HfNotices *notices, size_t n);
